"""Performs each kind of phase on the running system."""

import time
import traceback
from functools import singledispatch

from chaosfuzz.actions import scale_workers, start_database, stop_database
from chaosfuzz.domain.action import STOP_MODES
from chaosfuzz.domain.breaker import BreakerState
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError, UsageError
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.target import ApiService, DatabaseService
from chaosfuzz.execution.observer import ViolationSeenError
from chaosfuzz.scenarios.killing import (
    chaos,
    kill_server_repeatedly,
    kill_workers,
    record_return,
)
from chaosfuzz.scenarios.monitor import HEALTH, LIVE
from chaosfuzz.scenarios.phases import (
    AwaitBreaker,
    AwaitShare,
    AwaitTasks,
    Call,
    CheckAdmin,
    CheckApi,
    Create,
    ExpectKept,
    Phase,
    Scale,
    StopDatabase,
    Wait,
)
from chaosfuzz.scenarios.stage import Stage


@singledispatch
def perform(phase: Phase, stage: Stage) -> None:
    """Perform a phase. Raises ViolationSeenError as soon as an invariant is violated.

    Raises UsageError if the target lacks what the phase needs.
    """
    raise UsageError(
        cause=f"{stage.name}: {phase!r} is no phase",
        remedy="use a phase of chaosfuzz.scenarios",
    )


@perform.register
def _create(phase: Create, stage: Stage) -> None:
    tagged = f" tagged {phase.tag}" if phase.tag else ""
    stage.parts.say(
        f"{stage.name}: {stage.elapsed_s():.1f} s create {counted(phase.count, 'task')}{tagged}"
    )
    outcomes = stage.create(phase)
    accepted = sum(outcome is Outcome.OK for outcome in outcomes)
    if accepted < len(outcomes):
        stage.note(f"{accepted} of {len(outcomes)} tasks{tagged} were accepted")
    if phase.tag.startswith("after-"):
        stage.expect(
            f"tasks accepted {phase.tag.replace('-', ' the ')}",
            f"{accepted} of {phase.count}",
            "all",
            met=accepted == phase.count,
        )


@perform.register
def _await_tasks(phase: AwaitTasks, stage: Stage) -> None:
    tag = phase.tag or None
    stage.wait(lambda: not stage.unfinished(tag) or stage.past_deadline(), None)


@perform.register
def _await_share(phase: AwaitShare, stage: Stage) -> None:
    created = len(stage.history.creations)

    def reached() -> bool:
        return created - len(stage.unfinished()) >= phase.share * created

    stage.wait(reached, stage.pace.seconds(phase.at_most_s))


@perform.register
def _wait(phase: Wait, stage: Stage) -> None:
    stage.wait(lambda: False, stage.pace.seconds(phase.for_s), by_progress=False)


for _kills in (kill_workers, chaos, kill_server_repeatedly):
    perform.register(_kills)


@perform.register
def _stop_database(phase: StopDatabase, stage: Stage) -> None:
    stage.observe()
    rows = set(stage.rows())
    running = sum(map(len, stage.at_work().values()))
    stage.do(stop_database(mode=STOP_MODES.index(phase.mode)))
    at_work = counted(running, "task")
    stage.note(f"database stopped with {at_work} at work and {counted(len(rows), 'row')} in it")
    calls = len(stage.monitor.calls)
    stage.wait(lambda: False, stage.pace.seconds(phase.down_s) / 2, by_progress=False)
    # A creation during the outage may be accepted or refused, but must not hang.
    stage.create(Create(count=1, task_s=0.0, tag="during-outage"))
    stage.wait(lambda: False, stage.pace.seconds(phase.down_s) / 2, by_progress=False)
    _expect_truth(stage, calls)
    began = time.monotonic()
    stage.do(start_database())
    record_return(stage, "database", "started until the API answers", began)
    stage.observe()
    kept = len(rows & set(stage.rows()))
    stage.expect(
        "tasks kept over the outage", f"{kept} of {len(rows)}", "all", met=kept == len(rows)
    )


def _expect_truth(stage: Stage, since: int) -> None:
    """Expect that health answered 503, and liveness 200, in every request since call `since`."""
    calls = stage.monitor.calls[since:]
    told = [call.status for call in calls if call.path == HEALTH]
    alive = [call.status for call in calls if call.path == LIVE]
    for name, statuses, right in (
        ("health tells of the outage", told, 503),
        ("the server says it lives", alive, 200),
    ):
        good = statuses.count(right)
        met = good == len(statuses) > 0
        stage.expect(name, f"{good} of {len(statuses)} requests", f"all {right}", met=met)


@perform.register
def _scale(phase: Scale, stage: Stage) -> None:
    stage.observe()
    before = len(stage.system.worker_names())
    waiting = len(stage.unfinished())
    stage.do(scale_workers(workers=phase.workers))
    now = len(stage.system.worker_names())
    unfinished = counted(waiting, "task")
    stage.note(f"scaled from {before} to {counted(now, 'worker')} with {unfinished} unfinished")
    name = f"workers after scaling to {phase.workers}"
    stage.expect(name, str(now), str(phase.workers), met=now == phase.workers)
    name = f"tasks in the queue when scaling to {phase.workers}"
    stage.require(name, str(waiting), "at least 1", met=waiting > 0)


@perform.register
def _await_breaker(phase: AwaitBreaker, stage: Stage) -> None:
    wanted = BreakerState(phase.state)

    def reached() -> bool:
        return stage.has_turned(phase.task_type, wanted)

    began = time.monotonic()
    met = stage.wait(reached, stage.pace.seconds(phase.within_s), by_progress=False)
    took_s = time.monotonic() - began
    stage.expect(
        f"breaker of {phase.task_type} {phase.state}",
        f"after {took_s:.1f} s" if met else f"not within {took_s:.1f} s",
        f"within {stage.pace.seconds(phase.within_s):.1f} s",
        met=met,
    )


@perform.register
def _expect_kept(phase: ExpectKept, stage: Stage) -> None:
    stage.observe()
    state = stage.breaker(phase.task_type)
    tokens = {r.token for r in stage.owed(phase.tag)}
    begun = sum(e.token in tokens for e in stage.history.executions)
    stage.expect(
        f"tasks tagged {phase.tag} begun while the breaker is open",
        f"{begun} of {len(tokens)}, breaker {state}",
        "none, breaker open",
        met=begun == 0 and state is BreakerState.OPEN,
    )


@perform.register
def _check_api(_: CheckApi, stage: Stage) -> None:
    if not isinstance(stage.system, ApiService):
        raise UsageError(
            cause="this target has no API to check", remedy="leave check_api out of the scenario"
        )
    checked = stage.parts.check_api(stage.system.base_url)
    for problem in checked.problems:
        stage.note(f"API check failed: {problem}")
    met = checked.count.good == checked.count.of > 0
    stage.expect("API checks", str(checked.count), "all", met=met)


@perform.register
def _check_admin(phase: CheckAdmin, stage: Stage) -> None:
    if not isinstance(stage.system, DatabaseService):
        message = "this target has no database to look into"
        raise UsageError(cause=message, remedy="leave check_admin out of the scenario")
    before = stage.counts(phase.tag)
    counted = stage.parts.task_counts(stage.system.dsn, phase.tag)
    right = stage.counts(phase.tag)
    # A task that ended between the two counts may be counted in either state.
    met = counted in {before, right} and counted.total > 0
    name = f"admin task-stats --tag {phase.tag}"
    stage.expect(name, counted.line(), right.line(), met=met)


@perform.register
def _call(phase: Call, stage: Stage) -> None:
    try:
        phase.function(stage)
    except (ChaosfuzzError, ViolationSeenError):
        raise
    except Exception as error:
        cause = traceback.format_exception_only(error)[-1].strip()
        raise InfrastructureError(
            cause=f"{stage.name}: the function of its phase Call failed: {cause}",
            remedy="correct the file of the scenario",
        ) from error
