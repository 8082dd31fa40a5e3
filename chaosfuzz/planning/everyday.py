"""Fixed schedules: a crash of each part, each kind of work by itself, and deploys."""

import random
from collections.abc import Iterator

from chaosfuzz.actions import (
    ask_badly,
    cancel_task,
    create_tasks,
    kill_server,
    kill_worker,
    read_api,
    restart_server,
    restart_worker,
    retry_task,
    scale_workers,
    start_database,
    start_server,
    stop_database,
    wait,
    wait_idle,
)
from chaosfuzz.domain.schedule import Schedule, Step

# More tasks than workers hold when the failures of the first ones have been counted.
CROWD = 10
# Chosen by hand.
BURST, SHORT_MS, LONG_MS, LONGEST_MS = 6, 40, 400, 3000
# The index of `none` in RETRY_STRATEGIES.
UNRETRIED = 3
LOW, CRITICAL = 0, 3
SECOND_USER = 1
ALL_ATTEMPTS = 9
# After this time a worker executes the tasks it was given. Chosen by hand.
SOON_MS = 100
IMMEDIATE = 0


def _create(count: int, duration_ms: int = SHORT_MS, **arguments: int) -> Step:
    return create_tasks(count=count, duration_ms=duration_ms, **arguments)


def _schedule(workers: int, *steps: Step) -> Schedule:
    return Schedule(workers=workers, steps=steps)


_FAILING = {"failures": ALL_ATTEMPTS, "strategy": UNRETRIED}
# Of a worker at work, of the server, and of the database.
CRASHES: tuple[Schedule, ...] = (
    _schedule(1, _create(2, LONG_MS), wait(ms=SOON_MS), kill_worker(worker=1)),
    _schedule(2, _create(BURST, LONG_MS), kill_server(), start_server(), _create(2)),
    _schedule(
        2, _create(BURST, LONG_MS), stop_database(mode=IMMEDIATE), start_database(), _create(2)
    ),
)
EVERYDAY: tuple[Schedule, ...] = (
    # A burst for several workers, and one that takes longer.
    _schedule(3, _create(BURST, 0), _create(BURST)),
    _schedule(2, _create(BURST, LONG_MS), _create(BURST)),
    # A slow task with quick ones behind it: long enough that no slow machine explains it.
    _schedule(1, _create(1, LONGEST_MS), _create(2)),
    # Urgent tasks that are created last.
    _schedule(1, _create(BURST, LONG_MS, priority=LOW), _create(2, priority=CRITICAL)),
    # Delayed tasks of two users.
    _schedule(2, _create(2, delay_ms=LONG_MS), _create(2, delay_ms=LONG_MS, user=SECOND_USER)),
    # A dependency of tasks that stays down, and one that comes back.
    _schedule(2, _create(CROWD, **_FAILING)),
    _schedule(2, _create(BURST, failures=1), wait_idle(), _create(2)),
    # Dead letters: of two users, and retried.
    _schedule(
        1, _create(2, **_FAILING), _create(2, **_FAILING, user=SECOND_USER), read_api(what=1)
    ),
    _schedule(1, _create(1, failures=ALL_ATTEMPTS), wait_idle(), retry_task(task=1)),
    # A client that cancels, one that sends a request again, and one whose requests are invalid.
    _schedule(1, _create(BURST, LONG_MS), cancel_task(task=1), cancel_task(task=BURST)),
    _schedule(2, _create(2, lost_reply=1)),
    _schedule(1, ask_badly(count=10), _create(2)),
    # A deploy: of the workers, of the server, and fewer workers than before.
    _schedule(2, _create(BURST, LONG_MS), restart_worker(worker=1)),
    _schedule(2, _create(BURST, LONG_MS), restart_server(), _create(2)),
    _schedule(3, _create(BURST, LONG_MS), scale_workers(workers=1)),
)


def crashes(seed: int) -> Iterator[Schedule]:
    """Yield a crash of each part of the system, in an order that the seed draws."""
    yield from random.Random(seed).sample(CRASHES, len(CRASHES))


def everyday(seed: int) -> Iterator[Schedule]:
    """Yield the schedules of everyday work, in an order that the seed draws."""
    yield from random.Random(seed).sample(EVERYDAY, len(EVERYDAY))
