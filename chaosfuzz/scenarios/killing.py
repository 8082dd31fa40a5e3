"""Kills workers and the server in scenarios, and measures how long recovery takes."""

import time
from collections.abc import Sequence

from chaosfuzz.actions import kill_server, kill_worker, start_server, start_worker
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.scenario import Recovery, WorkerKill
from chaosfuzz.domain.task import TaskStatus
from chaosfuzz.scenarios.levels import RECOVERY_WARNING_S
from chaosfuzz.scenarios.monitor import PATHS
from chaosfuzz.scenarios.phases import Chaos, KillServer, KillWorker
from chaosfuzz.scenarios.stage import Stage

# A victim may end its last task just before the kill; then the kill is repeated. Chosen by hand.
MAX_MISSES = 5


def kill_workers(phase: KillWorker, stage: Stage) -> None:
    """Kill `phase.times` workers that run tasks, one after another, and restart each.

    The scenario is undecided if fewer were killed.
    """
    before = len(stage.kills)
    for _ in range(phase.times):
        if not _kill_worker_at_work(stage):
            break
        kill = stage.kills[-1]
        stage.wait(lambda: False, stage.pace.seconds(phase.down_s), by_progress=False)
        if phase.restart:
            stage.do(start_worker(worker=slot_of(kill.component)))
            await_return(stage, [kill])
    _count(stage, len(stage.kills) - before, phase.times)


def chaos(phase: Chaos, stage: Stage) -> None:
    """Kill workers that run tasks, at random times, until all tasks are done or the deadline.

    Each is started again after 0.5 to 1.5 times `phase.down_s`. The scenario is undecided if fewer
    than `phase.at_least` were killed.
    """
    before = len(stage.kills)
    down: dict[str, float] = {}
    shortest_s = _work_s(stage) / (phase.at_least + 1)
    due_s = time.monotonic() + min(_interval_s(stage, phase), shortest_s)

    def ended() -> bool:
        nonlocal due_s
        now = time.monotonic()
        for name in [name for name, until_s in down.items() if now >= until_s]:
            del down[name]
            stage.do(start_worker(worker=slot_of(name)))
        if now >= due_s and stage.at_work():
            if _kill_worker_at_work(stage, patience_s=0.0):
                until_s = stage.random.uniform(0.5, 1.5) * stage.pace.seconds(phase.down_s)
                down[stage.kills[-1].component] = time.monotonic() + until_s
            due_s = time.monotonic() + _interval_s(stage, phase)
            if len(stage.kills) - before < phase.at_least:
                due_s = min(due_s, time.monotonic() + shortest_s)
        return not stage.unfinished() or stage.past_deadline()

    stage.wait(ended, None)
    for name in down:
        stage.do(start_worker(worker=slot_of(name)))
    await_return(stage, stage.kills[before:])
    _count(stage, len(stage.kills) - before, phase.at_least)


def kill_server_repeatedly(phase: KillServer, stage: Stage) -> None:
    """Kill and restart the server `phase.times` times; record each recovery."""
    for _ in range(phase.times):
        began = time.monotonic()
        stage.do(kill_server())
        stage.wait(lambda: False, stage.pace.seconds(phase.down_s), by_progress=False)
        stage.do(start_server())
        record_return(stage, "server-1", "killed until the API answers", began)


def record_return(stage: Stage, component: str, what: str, began_s: float) -> None:
    """Ask the API until every path succeeds; record the seconds since `began_s` as a recovery.

    The recovery has no seconds if the paths do not succeed in time. `what` says what was measured.
    """
    patience_s = stage.pace.seconds(RECOVERY_WARNING_S) + stage.contract.health_ms / 1000
    if stage.wait(lambda: all(map(stage.monitor.ask, PATHS)), patience_s, by_progress=False):
        seconds = round(time.monotonic() - began_s, 3)
        stage.recoveries.append(Recovery(component=component, what=what, seconds=seconds))
    else:
        stage.recoveries.append(Recovery(component=component, what=what, seconds=None))


def await_return(stage: Stage, kills: Sequence[WorkerKill]) -> None:
    """Wait until no task is held by a killed worker; record a recovery for each kill.

    A recovery has no seconds if nothing moved any more before the worker's tasks were free.
    """
    waiting = list(kills)

    def returned() -> bool:
        for kill in list(waiting):
            if all(_is_free(stage, number, kill) for number in kill.tasks):
                waiting.remove(kill)
        return not waiting

    stage.wait(returned, None)
    for kill in kills:
        seconds = None if kill in waiting else _taken_back_s(stage, kill)
        what = "killed until its tasks are taken back"
        stage.recoveries.append(Recovery(component=kill.component, what=what, seconds=seconds))


def slot_of(component: str) -> int:
    """Return the number of a worker: 1 of worker-1."""
    return int(component.removeprefix("worker-"))


def _kill_worker_at_work(stage: Stage, patience_s: float | None = None) -> bool:
    """Kill a worker that runs a task, and append to `stage.kills`; return False if none was.

    Waits up to `patience_s` for one (None: as long as there is progress). If the victim had just
    ended its tasks, it is restarted and the kill is repeated, MAX_MISSES times in all.
    """
    for _ in range(MAX_MISSES):
        if not stage.wait(lambda: bool(stage.at_work()), patience_s):
            return False
        victim = stage.random.choice(sorted(stage.at_work()))
        stage.do(kill_worker(worker=slot_of(victim), signal=0))
        fault = next(
            f
            for f in reversed(stage.history.faults)
            if f.kind is FaultKind.KILLED and f.component == victim
        )
        tasks = _held_tasks(stage, victim, fault.began_ns)
        at_s = round((fault.began_ns - stage.history.began_ns) / 1e9, 3)
        if tasks:
            stage.kills.append(WorkerKill(component=victim, at_s=at_s, tasks=tasks))
            held = ", ".join(map(str, tasks))
            stage.note(f"{victim} was killed at {at_s:.2f} s while it ran task {held}")
            return True
        stage.note(f"{victim} was killed at {at_s:.2f} s and ran no task; another kill follows")
        stage.do(start_worker(worker=slot_of(victim)))
    return False


def _held_tasks(stage: Stage, victim: str, at_ns: int) -> tuple[int, ...]:
    """Return the numbers, sorted, of the tasks that a worker ran when it was killed."""
    numbers = {c.request.token: c.request.number for c in stage.history.creations}
    gone = {e.pid for e in stage.history.exits if e.component == victim and e.at_ns < at_ns}
    running = (
        e
        for e in stage.history.executions
        if e.component == victim and e.start_ns <= at_ns and e.end_ns is None and e.pid not in gone
    )
    return tuple(sorted(numbers[e.token] for e in running if e.token in numbers))


def _is_free(stage: Stage, number: int, kill: WorkerKill) -> bool:
    """Say whether a task of a killed worker is not RUNNING any more, or was started again."""
    killed_ns = _instant_ns(stage, kill)
    request = stage.history.creations[number - 1].request
    row = stage.rows().get(request.token)
    again = any(
        e.token == request.token and e.start_ns > killed_ns for e in stage.history.executions
    )
    return again or (row is not None and row.status is not TaskStatus.RUNNING)


def _taken_back_s(stage: Stage, kill: WorkerKill) -> float:
    """Return the seconds from a kill until an observation showed the last of its tasks free."""
    killed_ns = _instant_ns(stage, kill)
    latest_ns = killed_ns
    for number in kill.tasks:
        token = stage.history.creations[number - 1].request.token
        freed = [e.start_ns for e in stage.history.executions if e.token == token]
        freed += [
            seen.at_ns
            for seen in stage.history.observations
            if any(
                t.token == token and t.status is not TaskStatus.RUNNING for t in seen.tasks or ()
            )
        ]
        latest_ns = max(latest_ns, min((ns for ns in freed if ns > killed_ns), default=latest_ns))
    return round((latest_ns - killed_ns) / 1e9, 3)


def _instant_ns(stage: Stage, kill: WorkerKill) -> int:
    return stage.history.began_ns + round(kill.at_s * 1e9)


def _interval_s(stage: Stage, phase: Chaos) -> float:
    return stage.pace.seconds(stage.random.uniform(*phase.interval_s))


def _work_s(stage: Stage) -> float:
    """Return the seconds that the unfinished tasks take on all slots without faults."""
    slots = len(stage.system.worker_names()) * (stage.contract.slots_per_worker or 1)
    return sum(r.duration_ms for r in stage.unfinished()) / 1000 / max(1, slots)


def _count(stage: Stage, kills: int, wanted: int) -> None:
    stage.require(
        "kills of a worker at work", str(kills), f"at least {wanted}", met=kills >= wanted
    )
