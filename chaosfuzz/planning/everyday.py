"""What a system has to take: crashes of each part, each kind of work by itself, and deploys."""

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

# More than workers have in hand when the failures of the first have been counted.
CROWD = 10
BURST, SHORT_MS, LONG_MS, LONGEST_MS = 6, 40, 400, 3000
# No retry strategy is what the last one of RETRY_STRATEGIES says.
UNRETRIED = 3
LOW, CRITICAL = 0, 3
SECOND_USER = 1
ALL_ATTEMPTS = 9
# When a worker has begun with what it was given.
SOON_MS = 100
IMMEDIATE = 0


def _create(count: int, duration_ms: int = SHORT_MS, **arguments: int) -> Step:
    return create_tasks(count=count, duration_ms=duration_ms, **arguments)


def _of(workers: int, *steps: Step) -> Schedule:
    return Schedule(workers=workers, steps=steps)


# Of a worker at work, of the server, and of the database.
CRASHES: tuple[Schedule, ...] = (
    _of(1, _create(2, LONG_MS), wait(ms=SOON_MS), kill_worker(worker=1)),
    _of(
        2,
        _create(BURST, LONG_MS),
        kill_server(),
        start_server(),
        _create(2),
    ),
    _of(
        2,
        _create(BURST, LONG_MS),
        stop_database(mode=IMMEDIATE),
        start_database(),
        _create(2),
    ),
)
EVERYDAY: tuple[Schedule, ...] = (
    # A burst for several workers, and one that takes longer.
    _of(3, _create(BURST, 0), _create(BURST)),
    _of(2, _create(BURST, LONG_MS), _create(BURST)),
    # A slow task, long enough to be told from a slow machine, with quick ones behind it.
    _of(1, _create(1, LONGEST_MS), _create(2)),
    # What is urgent comes last.
    _of(1, _create(BURST, LONG_MS, priority=LOW), _create(2, priority=CRITICAL)),
    # Work for later, of two users.
    _of(2, _create(2, delay_ms=LONG_MS), _create(2, delay_ms=LONG_MS, user=SECOND_USER)),
    # A dependency that stays down, and one that comes back.
    _of(2, _create(CROWD, failures=ALL_ATTEMPTS, strategy=UNRETRIED)),
    _of(2, _create(BURST, failures=1), wait_idle(), _create(2)),
    # What has failed for good: of two users, and tried once more.
    _of(
        1,
        _create(2, failures=ALL_ATTEMPTS, strategy=UNRETRIED),
        _create(2, failures=ALL_ATTEMPTS, strategy=UNRETRIED, user=SECOND_USER),
        read_api(what=1),
    ),
    _of(
        1,
        _create(1, failures=ALL_ATTEMPTS),
        wait_idle(),
        retry_task(task=1),
    ),
    # A client that changes its mind, one that sends again, one that is wrong.
    _of(
        1,
        _create(BURST, LONG_MS),
        cancel_task(task=1),
        cancel_task(task=BURST),
    ),
    _of(2, _create(2, lost_reply=1)),
    _of(1, ask_badly(count=10), _create(2)),
    # A deploy: of the workers, of the server, and fewer workers than before.
    _of(2, _create(BURST, LONG_MS), restart_worker(worker=1)),
    _of(2, _create(BURST, LONG_MS), restart_server(), _create(2)),
    _of(3, _create(BURST, LONG_MS), scale_workers(workers=1)),
)


def crashes(seed: int) -> Iterator[Schedule]:
    """Yield one crash of each part in an order that the seed draws."""
    yield from random.Random(seed).sample(CRASHES, len(CRASHES))


def everyday(seed: int) -> Iterator[Schedule]:
    """Yield what happens without a fault in an order that the seed draws."""
    yield from random.Random(seed).sample(EVERYDAY, len(EVERYDAY))
