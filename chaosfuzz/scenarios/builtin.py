"""The ten scenarios of the guide, each a program made from a level."""

from collections.abc import Callable
from dataclasses import dataclass

from chaosfuzz.scenarios.levels import (
    BASELINE_TASKS,
    BREAKER_FAILURES,
    BREAKER_OPEN_S,
    BREAKER_SUCCESSES,
    DATABASE_DOWN_S,
    FLOOD_DEADLINE_S,
    MIXED_DEADLINE_S,
    OVERLOAD_SHORT_TASK_S,
    RECOVERY_DEADLINE_S,
    SCALE_HIGH,
    SCALE_LOW,
    SCALE_PHASE_S,
    SCALE_UP_EVERY_S,
    SCALING,
    SERVER_DOWN_S,
    SHORT_TASK_S,
    WORKER_CHAOS,
    WORKER_DOWN_S,
    WORKER_SLOTS,
    Level,
    Scaling,
    overload,
)
from chaosfuzz.scenarios.phases import (
    AwaitBreaker,
    AwaitShare,
    AwaitTasks,
    Chaos,
    CheckAdmin,
    CheckApi,
    Create,
    ExpectKept,
    KillServer,
    KillWorker,
    Phase,
    Program,
    Scale,
    StopDatabase,
)

BUILTIN = "built in"
FAILING_TYPE, HEALTHY_TYPE = "probe_b", "probe"
RELAPSE_LEVEL = 3


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A named program; `source` is its file, or says that it is built in."""

    name: str
    summary: str
    plan: Callable[[Level], Program]
    source: str = BUILTIN


def foundation(level: Level) -> Program:
    """One task goes all the way, and all that looks at it sees it, the admin commands too."""
    load = Create(count=1, task_s=0.0, tag="foundation")
    phases = (load, AwaitTasks(), CheckAdmin(tag=load.tag))
    return Program(workers=1, phases=phases, deadline_s=level.deadline_s)


def _program(
    level: Level,
    *phases: Phase,
    workers: int | None = None,
    deadline_s: float | None = None,
    completion: float | None = None,
    at_most: float | None = None,
    steady_memory: bool = False,
) -> Program:
    """Return a program that takes from the level what is not given."""
    return Program(
        workers=level.workers if workers is None else workers,
        phases=phases,
        deadline_s=level.deadline_s if deadline_s is None else deadline_s,
        completion=level.completion if completion is None else completion,
        may_be_late=level.may_be_late,
        at_most=level.at_most if at_most is None else at_most,
        steady_memory=steady_memory,
    )


def _load(
    level: Level, *, tasks: int, task_s: float, worker_s: float, together: bool = True
) -> Create:
    """Return `tasks` tasks, or so many that workers are overloaded in `worker_s` seconds of work.

    An overload is not created `together`: creating it would take most of a short deadline, and
    there is a queue anyway.
    """
    if level.at_most == 1:
        return Create(count=tasks, task_s=task_s, together=together)
    return Create(count=overload(task_s, worker_s), task_s=task_s)


def _short_load(level: Level, deadline_s: float, *, together: bool) -> Create:
    """Return many short tasks."""
    return _load(
        level,
        tasks=2 * level.tasks,
        task_s=SHORT_TASK_S if level.at_most == 1 else OVERLOAD_SHORT_TASK_S,
        worker_s=level.workers * deadline_s,
        together=together,
    )


def _long_load(level: Level, *, lost_s: float = 0.0) -> Create:
    """Return the level's tasks. Faults take `lost_s` seconds of work from each worker."""
    worker_s = level.workers * (level.deadline_s - lost_s)
    return _load(level, tasks=level.tasks, task_s=level.task_s, worker_s=worker_s)


def baseline(level: Level) -> Program:
    """Every path of the API, and a dozen tasks that nothing disturbs."""
    load = Create(count=BASELINE_TASKS, task_s=SHORT_TASK_S)
    phases = (CheckApi(), load, AwaitTasks())
    return Program(workers=level.workers, phases=phases, deadline_s=level.deadline_s)


def database_failure(level: Level) -> Program:
    """The database is stopped while tasks run and the API is asked."""
    # Of a task that an outage cuts short, half of the work is lost on average.
    load = _long_load(level, lost_s=level.kills * (DATABASE_DOWN_S + level.task_s / 2))
    outages = tuple(StopDatabase(down_s=DATABASE_DOWN_S) for _ in range(level.kills))
    after = Create(count=1, task_s=0.0, tag="after-outage")
    return _program(level, load, _under_way(level), *outages, after, AwaitTasks())


def server_restart(level: Level) -> Program:
    """The server is killed and started again; then the API has to work."""
    kills = KillServer(times=level.kills, down_s=SERVER_DOWN_S)
    after = Create(count=1, task_s=0.0, tag="after-restart")
    return _program(level, _long_load(level), _under_way(level), kills, after, AwaitTasks())


def worker_restart(level: Level) -> Program:
    """Slow tasks keep no others waiting; then a worker is killed with tasks in its hands."""
    # One slot of one worker stays free for what comes behind.
    slow = Create(count=WORKER_SLOTS * level.workers - 1, tag="slow", outlasts=True)
    behind = Create(count=level.workers, task_s=0.0, tag="behind")
    kills = KillWorker(times=level.kills, down_s=WORKER_DOWN_S)
    return _program(level, slow, behind, AwaitTasks(), _long_load(level), kills, AwaitTasks())


def task_flood(level: Level) -> Program:
    """Many short tasks at once."""
    load = _short_load(level, FLOOD_DEADLINE_S, together=False)
    return _program(level, load, AwaitTasks(), deadline_s=FLOOD_DEADLINE_S, steady_memory=True)


def circuit_breaker(level: Level) -> Program:
    """Failing tasks open the breaker of their type; others go on; it closes when they succeed."""
    failing = Create(
        count=BREAKER_FAILURES,
        task_s=0.1,
        tag="failing",
        task_type=FAILING_TYPE,
        failures=1,
        retry="none",
    )
    kept = Create(count=BREAKER_SUCCESSES + 2, task_s=0.1, tag="kept", task_type=FAILING_TYPE)
    others = Create(count=level.workers, task_s=SHORT_TASK_S, tag="others", task_type=HEALTHY_TYPE)
    # From level 3 on the first probe fails, which has to open it once more.
    relapses = level.number >= RELAPSE_LEVEL
    relapse = (failing.model_copy(update={"count": 1}),) if relapses else ()
    reopened = (_breaker("open", level.deadline_s),) if relapses else ()
    return Program(
        workers=level.workers,
        phases=(
            failing,
            _breaker("open", level.deadline_s),
            *relapse,
            kept,
            others,
            AwaitTasks(tag="others"),
            ExpectKept(task_type=FAILING_TYPE, tag="kept"),
            _breaker("half-open", 2 * BREAKER_OPEN_S),
            *reopened,
            _breaker("closed", 2 * BREAKER_OPEN_S + level.deadline_s),
            AwaitTasks(),
        ),
        deadline_s=4 * BREAKER_OPEN_S + level.deadline_s,
    )


def _breaker(state: str, within_s: float) -> AwaitBreaker:
    return AwaitBreaker(task_type=FAILING_TYPE, state=state, within_s=within_s)


def mixed_chaos(level: Level) -> Program:
    """A worker and the server are killed while tasks run, the server while the worker is gone."""
    phases = (
        _short_load(level, MIXED_DEADLINE_S, together=True),
        KillWorker(times=1, down_s=0.0, restart=False),
        KillServer(times=1, down_s=SERVER_DOWN_S),
        Scale(workers=level.workers),
        AwaitTasks(),
    )
    return _program(level, *phases, deadline_s=MIXED_DEADLINE_S)


def recovery(level: Level) -> Program:
    """Cycles of work in which a worker and the server are killed; each recovery is timed."""
    cycle = (
        Create(count=2 * level.workers, task_s=1.0, together=True),
        KillWorker(times=1, down_s=WORKER_DOWN_S),
        KillServer(times=1, down_s=SERVER_DOWN_S),
        AwaitTasks(),
    )
    return _program(level, *cycle * level.cycles, deadline_s=RECOVERY_DEADLINE_S, at_most=1.0)


def multi_worker_chaos(level: Level) -> Program:
    """Workers are killed at random while they work, and started again."""
    row = WORKER_CHAOS[level.number]
    # A kill takes from one worker the time it is down and, on average, half of the tasks in its
    # hands. Counted is the longest pause between kills, since a busy machine kills less often: at
    # level 6, 24 kills take 4 s each, and 144 of 240 worker-seconds are left. Without any kill
    # the workers would complete 42 % of the load.
    kills = row.deadline_s / level.interval_s[1]
    lost_s = kills * (WORKER_DOWN_S + row.task_s / 2)
    worker_s = row.workers * row.deadline_s - lost_s
    return _program(
        level,
        _load(level, tasks=level.tasks, task_s=row.task_s, worker_s=worker_s),
        Chaos(interval_s=level.interval_s, at_least=level.kills, down_s=WORKER_DOWN_S),
        AwaitTasks(),
        workers=row.workers,
        deadline_s=row.deadline_s,
        completion=row.completion,
    )


def dynamic_scaling(level: Level) -> Program:
    """From five workers to two and back, one at a time, always with tasks in the queue."""
    row = SCALING[level.number]
    steps = SCALE_HIGH - SCALE_LOW
    share = row.second // (steps + 1)
    growing: list[Phase] = []
    for workers in range(SCALE_LOW + 1, SCALE_HIGH + 1):
        growing += [
            _scaling_load(row, share, "dynamic_phase_2"),
            Scale(workers=workers),
            AwaitShare(share=1.0, at_most_s=SCALE_UP_EVERY_S),
        ]
    return Program(
        workers=SCALE_HIGH,
        phases=(
            _scaling_load(row, row.first, "dynamic_phase_1"),
            AwaitShare(share=1 / 3, at_most_s=SCALE_PHASE_S),
            _scaling_load(row, row.second - steps * share, "dynamic_phase_2"),
            Scale(workers=SCALE_LOW),
            AwaitShare(share=0.9, at_most_s=SCALE_PHASE_S),
            *growing,
            AwaitTasks(tag="dynamic_phase_1"),
            AwaitTasks(tag="dynamic_phase_2"),
        ),
        deadline_s=row.deadline_s,
        may_be_late=True,
    )


def _under_way(level: Level) -> AwaitShare:
    return AwaitShare(share=0.2, at_most_s=level.deadline_s / 4)


def _scaling_load(row: Scaling, count: int, tag: str) -> Create:
    return Create(count=count, task_s=row.task_s, tag=tag, together=True)


SCENARIOS: tuple[Scenario, ...] = tuple(
    Scenario(name=name, summary=(plan.__doc__ or "").rstrip("."), plan=plan)
    for name, plan in (
        ("baseline", baseline),
        ("db-failure", database_failure),
        ("server-restart", server_restart),
        ("worker-restart", worker_restart),
        ("task-flood", task_flood),
        ("circuit-breaker", circuit_breaker),
        ("mixed-chaos", mixed_chaos),
        ("recovery", recovery),
        ("multi-worker-chaos", multi_worker_chaos),
        ("dynamic-scaling", dynamic_scaling),
    )
)
