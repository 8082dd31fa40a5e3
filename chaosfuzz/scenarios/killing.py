"""Workers and the server that are killed, and how long it takes until work goes on."""

import time
from collections.abc import Sequence

from chaosfuzz.actions import kill_server, kill_worker, start_server, start_worker
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.scenario import Recovery, Strike
from chaosfuzz.domain.task import Execution, TaskStatus
from chaosfuzz.scenarios.levels import RECOVERY_WARNING_S
from chaosfuzz.scenarios.monitor import PATHS
from chaosfuzz.scenarios.phases import Chaos, KillServer, KillWorker
from chaosfuzz.scenarios.stage import Stage

# A kill may strike just after the last task of its victim has ended: then another is tried.
MAX_MISSES = 5


def kill_workers(stage: Stage, phase: KillWorker) -> None:
    """Kill so many workers at work; if none is, the scenario is undecided."""
    before = len(stage.strikes)
    for _ in range(phase.times):
        if not _strike(stage):
            break
        struck = stage.strikes[-1]
        stage.wait(lambda: False, stage.pace.seconds(phase.down_s), by_progress=False)
        if phase.restart:
            stage.do(start_worker(worker=slot_of(struck.component)))
            await_return(stage, [struck])
    _count(stage, len(stage.strikes) - before, phase.times)


def chaos(stage: Stage, phase: Chaos) -> None:
    """Kill workers at work, at random times, until all tasks are done or the deadline passed."""
    before = len(stage.strikes)
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
            if _strike(stage, patience_s=0.0):
                until_s = stage.random.uniform(0.5, 1.5) * stage.pace.seconds(phase.down_s)
                down[stage.strikes[-1].component] = time.monotonic() + until_s
            due_s = time.monotonic() + _interval_s(stage, phase)
            if len(stage.strikes) - before < phase.at_least:
                due_s = min(due_s, time.monotonic() + shortest_s)
        return not stage.unfinished() or stage.past_deadline()

    stage.wait(ended, None)
    for name in down:
        stage.do(start_worker(worker=slot_of(name)))
    await_return(stage, stage.strikes[before:])
    _count(stage, len(stage.strikes) - before, phase.at_least)


def kill_server_repeatedly(stage: Stage, phase: KillServer) -> None:
    """Kill the server; it has recovered when the API answers each kind of request again."""
    for _ in range(phase.times):
        began = time.monotonic()
        stage.do(kill_server())
        stage.wait(lambda: False, stage.pace.seconds(phase.down_s), by_progress=False)
        stage.do(start_server())
        record_return(stage, "server-1", "killed until the API answers", began)


def record_return(stage: Stage, component: str, what: str, began_s: float) -> None:
    """Ask until every path succeeds; take down how long that took since an instant."""
    patience_s = stage.pace.seconds(RECOVERY_WARNING_S) + stage.contract.health_ms / 1000
    if stage.wait(lambda: all(map(stage.monitor.ask, PATHS)), patience_s, by_progress=False):
        seconds = round(time.monotonic() - began_s, 3)
        stage.recoveries.append(Recovery(component=component, what=what, seconds=seconds))
    else:
        stage.recoveries.append(Recovery(component=component, what=what, seconds=None))


def await_return(stage: Stage, strikes: Sequence[Strike]) -> None:
    """Wait until somebody has taken back what dead workers held; take down how long that took."""
    open_strikes = list(strikes)

    def returned() -> bool:
        for strike in list(open_strikes):
            if all(_is_free(stage, number, strike) for number in strike.tasks):
                open_strikes.remove(strike)
        return not open_strikes

    stage.wait(returned, None)
    for strike in strikes:
        seconds = None if strike in open_strikes else _taken_back_s(stage, strike)
        what = "killed until its tasks are taken back"
        stage.recoveries.append(Recovery(component=strike.component, what=what, seconds=seconds))


def slot_of(component: str) -> int:
    """Return the number of a worker."""
    return int(component.removeprefix("worker-"))


def _strike(stage: Stage, patience_s: float | None = None) -> bool:
    """Kill a worker that is at work; a kill that struck nobody at work is said and repeated."""
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
        tasks = _struck(stage, victim, fault.began_ns)
        at_s = round((fault.began_ns - stage.history.began_ns) / 1e9, 3)
        if tasks:
            stage.strikes.append(Strike(component=victim, at_s=at_s, tasks=tasks))
            held = ", ".join(map(str, tasks))
            stage.note(f"{victim} killed at {at_s:.2f} s with task {held} in its hands")
            return True
        stage.note(f"{victim} was killed at {at_s:.2f} s and had nothing in its hands; again")
        stage.do(start_worker(worker=slot_of(victim)))
    return False


def _struck(stage: Stage, victim: str, at_ns: int) -> tuple[int, ...]:
    """Return the tasks a worker had begun before it was killed and never ended."""
    numbers = {c.request.token: c.request.number for c in stage.history.creations}
    open_ones: list[Execution] = [
        e
        for e in stage.history.executions
        if e.component == victim and e.start_ns <= at_ns and e.end_ns is None
    ]
    gone = {e.pid for e in stage.history.exits if e.component == victim and e.at_ns < at_ns}
    return tuple(
        sorted(numbers[e.token] for e in open_ones if e.pid not in gone and e.token in numbers)
    )


def _is_free(stage: Stage, number: int, strike: Strike) -> bool:
    """Say whether a task is no longer in the hands of the worker that was killed."""
    struck_ns = _instant_ns(stage, strike)
    request = stage.history.creations[number - 1].request
    row = stage.rows().get(request.token)
    again = any(
        e.token == request.token and e.start_ns > struck_ns for e in stage.history.executions
    )
    return again or (row is not None and row.status is not TaskStatus.RUNNING)


def _taken_back_s(stage: Stage, strike: Strike) -> float:
    """Return the seconds from a kill until the last of its tasks was seen out of its hands."""
    struck_ns = _instant_ns(stage, strike)
    latest_ns = struck_ns
    for number in strike.tasks:
        token = stage.history.creations[number - 1].request.token
        freed = [e.start_ns for e in stage.history.executions if e.token == token]
        freed += [
            seen.at_ns
            for seen in stage.history.observations
            if any(
                t.token == token and t.status is not TaskStatus.RUNNING for t in seen.tasks or ()
            )
        ]
        latest_ns = max(latest_ns, min((ns for ns in freed if ns > struck_ns), default=latest_ns))
    return round((latest_ns - struck_ns) / 1e9, 3)


def _instant_ns(stage: Stage, strike: Strike) -> int:
    return stage.history.began_ns + round(strike.at_s * 1e9)


def _interval_s(stage: Stage, phase: Chaos) -> float:
    return stage.pace.seconds(stage.random.uniform(*phase.interval_s))


def _work_s(stage: Stage) -> float:
    """Return how long the work there is takes if nobody disturbs it."""
    slots = len(stage.system.worker_names()) * (stage.contract.slots_per_worker or 1)
    return sum(r.duration_ms for r in stage.unfinished()) / 1000 / max(1, slots)


def _count(stage: Stage, kills: int, wanted: int) -> None:
    stage.require(
        "kills of a worker at work", str(kills), f"at least {wanted}", met=kills >= wanted
    )
