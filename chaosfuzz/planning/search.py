"""The order in which schedules are tried."""

import itertools
from collections.abc import Collection, Iterator

from chaosfuzz.domain.action import Role
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.planning.enumeration import (
    LEASE_MS,
    SHORT_LEASE_MS,
    killed_at_work,
    single_faults,
)
from chaosfuzz.planning.everyday import crashes, everyday
from chaosfuzz.planning.machine import Drawing
from chaosfuzz.planning.pinning import Moments, Pinning

# After ten examples, when its health check is over, Hypothesis varies what it has drawn before;
# most of these variations are the same schedule again.
BATCH = 10
# Drawing ends after so many batches without a new schedule. Chosen by hand.
MAX_EMPTY_BATCHES = 50


def schedules(
    actions: tuple[str, ...],
    max_steps: int,
    seed: int,
    pinning: Pinning = Pinning(),  # noqa: B008 - frozen
    *,
    takes: Collection[str] | None = None,
    lease_ms: int = LEASE_MS,
    max_attempts: int = 0,
) -> Iterator[Schedule]:
    """Yield distinct schedules, the same ones for the same arguments.

    First comes a crash of each part; if leases are longer than SHORT_LEASE_MS, kills of a worker at
    each request of its work come before. Then single faults at the requests of one task's life
    alternate with others: first those of `everyday`, then drawn ones. Without moments there are no
    single faults; with moments alone there are no crashes and no `everyday`. Drawn schedules
    without work are left out, since they can break no promise about tasks. The stream ends when
    MAX_EMPTY_BATCHES batches in a row drew nothing new.

    Arguments:
        actions: names of the actions that may occur.
        max_steps: the greatest number of steps.
        seed: decides the order and the drawn schedules.
        pinning: the moments at which faults may strike.
        takes: arguments of creations to keep beside the count; None: all.
        lease_ms: the target's lease.
        max_attempts: how often the target tries a task; 0: without limit.

    """
    seen: set[Schedule] = set()
    leading, plain = crashes(seed), everyday(seed)
    single: Iterator[Schedule] = (
        iter(())
        if pinning.moments is Moments.CLOCK
        else single_faults(pinning.alphabet, seed, lease_ms=lease_ms, max_attempts=max_attempts)
    )
    if pinning.moments is Moments.LOGICAL:
        leading = plain = iter(())
        single = (s for s in single if any(step.at is not None for step in s.steps))
    fitting = (s for s in single if _fits(s, actions, max_steps))
    if pinning.moments is not Moments.CLOCK and lease_ms > SHORT_LEASE_MS:
        leading = itertools.chain(killed_at_work(pinning.alphabet, seed), leading)
    usual = (s for s in plain if _fits(s, actions, max_steps))
    others = itertools.chain(usual, _drawn(actions, max_steps, seed, pinning))
    mixed = (each for one in others for each in (one, *itertools.islice(fitting, 1)))
    first_of_all = (s for s in leading if _fits(s, actions, max_steps))
    for schedule in itertools.chain(first_of_all, mixed):
        each = schedule if takes is None else schedule.taking(takes)
        if each not in seen:
            seen.add(each)
            yield each


def _fits(schedule: Schedule, actions: tuple[str, ...], max_steps: int) -> bool:
    possible = all(step.action in actions for step in schedule.steps)
    return possible and len(schedule.steps) <= max_steps


def _drawn(
    actions: tuple[str, ...], max_steps: int, seed: int, pinning: Pinning
) -> Iterator[Schedule]:
    """Yield distinct schedules with work that Hypothesis draws, in batches seeded from `seed`."""
    drawing = Drawing(actions, max_steps, pinning)
    seen: set[Schedule] = set()
    batch = empty = 0
    while empty < MAX_EMPTY_BATCHES:
        fresh = 0
        for schedule in drawing.batch(seed * 1_000_003 + batch, BATCH):
            loads = any(s.kind.role is Role.LOAD for s in schedule.steps)
            if schedule in seen or not loads:
                continue
            seen.add(schedule)
            fresh += 1
            yield schedule
        batch += 1
        empty = 0 if fresh else empty + 1
