"""The tables of levels: every figure that grows with the level. Times are seconds at speed 1."""

from collections.abc import Mapping
from dataclasses import dataclass

from chaosfuzz.domain.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Level:
    """How much load and how many faults a level has, and what a system must reach under them.

    `completion` is the least share of tasks that must be completed by the deadline; with
    `may_be_late` tasks completed later count too, and the result is then PASS*. `at_most` is the
    largest share that may be completed by the deadline: under 1, the load must overload the
    system. `kills` is the least number of kills, `api` the least share of API requests that must
    succeed.
    """

    number: int
    name: str
    workers: int
    tasks: int
    task_s: float
    deadline_s: float
    interval_s: tuple[float, float]
    completion: float
    may_be_late: bool = False
    at_most: float = 1.0
    kills: int
    cycles: int
    api: float


@dataclass(frozen=True, kw_only=True)
class WorkerChaos:
    """The figures of multi-worker-chaos; `completion` as in Level."""

    workers: int
    task_s: float
    deadline_s: float
    completion: float


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """The figures of dynamic-scaling: tasks before and after scaling down, and their deadline."""

    first: int
    second: int
    task_s: float
    deadline_s: float


# The number of tasks that one worker of the reference system runs at the same time.
WORKER_SLOTS = 2
# The guide's level 6: "4x overload", "20-50% completion" by the deadline.
OVERLOAD, OVERLOADED_AT_MOST = 4, 0.5
# The length of a task of task-flood and mixed-chaos at level 6. At the 0.5 s of the other levels,
# OVERLOAD times the capacity would be 1,440 and 1,920 tasks; each observation reads all of them,
# and that would slow the system down more than the load does.
OVERLOAD_SHORT_TASK_S = 2.0


def overload(task_s: float, worker_s: float) -> int:
    """Return OVERLOAD times the number of tasks that workers can complete by the deadline.

    A task takes `task_s` seconds. `worker_s` is the sum over all workers of the seconds in which
    they can work before the deadline: workers x deadline, less what the scenario's faults take.
    The capacity is therefore WORKER_SLOTS x worker_s / task_s tasks. The guide counts 40 tasks of
    6 s in 60 s as four times too much: one slot in all. Here two workers of two slots complete
    exactly those 40, so the number of tasks follows from the slots. A system that loses no time
    completes 1 / OVERLOAD = 25 % by the deadline; polling, starting processes and leases make it
    less, and nothing can make it more than 50 %.
    """
    return round(OVERLOAD * WORKER_SLOTS * worker_s / task_s)


LEVELS: Mapping[int, Level] = {
    1: Level(
        number=1,
        name="basic resilience",
        workers=2,
        tasks=10,
        task_s=1.0,
        deadline_s=45.0,
        interval_s=(20.0, 30.0),
        completion=0.90,
        kills=1,
        cycles=3,
        api=0.95,
    ),
    2: Level(
        number=2,
        name="light disruption",
        workers=2,
        tasks=15,
        task_s=2.0,
        deadline_s=90.0,
        interval_s=(15.0, 25.0),
        completion=0.85,
        kills=1,
        cycles=3,
        api=0.95,
    ),
    3: Level(
        number=3,
        name="load",
        workers=3,
        tasks=25,
        task_s=3.0,
        deadline_s=60.0,
        interval_s=(10.0, 15.0),
        completion=0.80,
        kills=2,
        cycles=4,
        api=0.85,
    ),
    4: Level(
        number=4,
        name="resource pressure",
        workers=3,
        tasks=35,
        task_s=4.0,
        deadline_s=90.0,
        interval_s=(5.0, 10.0),
        completion=0.75,
        kills=2,
        cycles=4,
        api=0.85,
    ),
    5: Level(
        number=5,
        name="extreme chaos",
        workers=4,
        tasks=30,
        task_s=5.0,
        deadline_s=80.0,
        interval_s=(3.0, 7.0),
        completion=0.60,
        may_be_late=True,
        kills=3,
        cycles=5,
        api=0.80,
    ),
    6: Level(
        number=6,
        name="catastrophic load",
        workers=2,
        tasks=overload(6.0, worker_s=2 * 60.0),
        task_s=6.0,
        deadline_s=60.0,
        interval_s=(2.0, 5.0),
        completion=0.20,
        may_be_late=True,
        at_most=OVERLOADED_AT_MOST,
        kills=3,
        cycles=5,
        api=0.80,
    ),
}
WORKER_CHAOS: Mapping[int, WorkerChaos] = {
    1: WorkerChaos(workers=2, task_s=1.0, deadline_s=45.0, completion=0.90),
    2: WorkerChaos(workers=2, task_s=2.0, deadline_s=90.0, completion=0.85),
    3: WorkerChaos(workers=3, task_s=2.0, deadline_s=120.0, completion=0.80),
    4: WorkerChaos(workers=3, task_s=2.0, deadline_s=150.0, completion=0.80),
    5: WorkerChaos(workers=4, task_s=3.0, deadline_s=180.0, completion=0.80),
    6: WorkerChaos(workers=2, task_s=4.0, deadline_s=120.0, completion=0.20),
}
SCALING: Mapping[int, Scaling] = {
    1: Scaling(first=15, second=8, task_s=0.5, deadline_s=90.0),
    2: Scaling(first=20, second=10, task_s=0.5, deadline_s=150.0),
    3: Scaling(first=30, second=15, task_s=1.0, deadline_s=180.0),
    4: Scaling(first=40, second=20, task_s=1.0, deadline_s=240.0),
    5: Scaling(first=50, second=25, task_s=1.5, deadline_s=300.0),
    6: Scaling(first=60, second=30, task_s=2.0, deadline_s=360.0),
}
SCALE_HIGH, SCALE_LOW = 5, 2
SCALE_UP_EVERY_S = 3.0
SCALE_PHASE_S = 20.0

BASELINE_TASKS, SHORT_TASK_S = 12, 0.5
FLOOD_DEADLINE_S, MIXED_DEADLINE_S, RECOVERY_DEADLINE_S = 45.0, 60.0, 180.0
DATABASE_DOWN_S, SERVER_DOWN_S, WORKER_DOWN_S = 10.0, 1.0, 2.0

BREAKER_FAILURES, BREAKER_OPEN_S, BREAKER_SUCCESSES = 5, 60.0, 3
NO_PROGRESS_S = 30.0
RECOVERY_TARGET_S, RECOVERY_WARNING_S = 20.0, 30.0


def find_level(number: int) -> Level:
    """Return the level of a number; raises UsageError if there is none."""
    if number not in LEVELS:
        message = f"level {number} does not exist"
        raise UsageError(cause=message, remedy=f"use 1 ({LEVELS[1].name}) to 6 ({LEVELS[6].name})")
    return LEVELS[number]
