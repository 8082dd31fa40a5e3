"""The stream of schedules to try."""

from collections.abc import Iterator

from chaosfuzz.domain.action import Role, find_action
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.planning.machine import draw_batch
from chaosfuzz.planning.pinning import Pinning

# Hypothesis varies what it has drawn once its health check is over, after ten examples; most
# of these variations are the same schedule again.
BATCH = 10
MAX_EMPTY_BATCHES = 50


def schedules(
    actions: tuple[str, ...],
    max_steps: int,
    seed: int,
    pinning: Pinning = Pinning(),  # noqa: B008 - frozen
) -> Iterator[Schedule]:
    """Yield distinct schedules for ever, the same ones for the same seed and alphabet.

    Hypothesis draws them in batches with seeds that follow from `seed`. Schedules without work
    are passed over: they can break nothing that an acknowledged task was promised.
    """
    seen: set[Schedule] = set()
    batch = empty = 0
    while empty < MAX_EMPTY_BATCHES:
        fresh = 0
        for schedule in draw_batch(actions, max_steps, seed * 1_000_003 + batch, BATCH, pinning):
            loads = any(find_action(s.action).role is Role.LOAD for s in schedule.steps)
            if schedule in seen or not loads:
                continue
            seen.add(schedule)
            fresh += 1
            yield schedule
        batch += 1
        empty = 0 if fresh else empty + 1
