"""Starts a profile's system, has it do three tasks, and says line by line what works."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from chaosfuzz.domain.check_result import BROKEN, MISSING, OK, CheckResult, failed_check
from chaosfuzz.domain.contract import WorkerExit
from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError
from chaosfuzz.domain.history import ProcessExit
from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.task import TaskState, TaskStatus
from chaosfuzz.execution.trial import Trial
from chaosfuzz.targets.profiles import Profile, ProfileTarget
from chaosfuzz.targets.profiles.system import ProfileSystem
from chaosfuzz.wire import LaneWire

TASKS = 3
WORK_MS = 50
WORKER = "worker-1"
_WRITE_LEDGER = (
    "handlers write a start and an end line to the file in CHAOSFUZZ_LEDGER, or post them to "
    "CHAOSFUZZ_LEDGER_URL; docs/profiles.md shows both"
)


class _Stop(Exception):  # noqa: N818 - no error: what follows depends on what failed
    """Nothing more can be checked."""


class ProfileCheck:
    """One look at a profile; iterate over `run` for its findings."""

    def __init__(self, profile: Profile, logs: Path) -> None:
        self._profile = profile
        self._logs = logs
        self._stage = ""
        self._tokens: list[str] = []
        self._lacks_outages = True
        self._bound_s = (profile.contract.recovery_ms + profile.contract.pickup_ms) / 1000

    def run(self) -> Iterator[CheckResult]:
        """Yield a finding at a time; everything that was started is ended again."""
        stack = ExitStack()
        try:
            yield from self._in_order(stack)
        except _Stop:
            pass
        finally:
            began = time.monotonic()
            stack.close()
        took_ms = 1000 * (time.monotonic() - began)
        yield _ok("clean-up", f"everything that was started is gone, in {took_ms:.0f} ms")

    def _in_order(self, stack: ExitStack) -> Iterator[CheckResult]:
        done: list[str] = []

        def note(stage: str) -> None:
            done.append(self._stage)
            self._stage = stage

        began = time.monotonic()
        try:
            target = ProfileTarget(self._profile, LaneWire, note)
            self._lacks_outages = "stop_database" not in target.description.actions
            lane = target.lane(0, self._logs)
            stack.callback(lane.close)
            note("components")
            system = lane.open(1)
            stack.callback(system.close)
            trial = self._trial = Trial(system)
            trial.observe()
        except ChaosfuzzError as error:
            yield from (_ok(stage, "works") for stage in done if stage)
            yield _broken(self._stage, error)
            raise _Stop from error
        yield from (_ok(stage, "works") for stage in done if stage)
        took_s = time.monotonic() - began
        up = ", ".join(trial.history.observations[-1].components_up)
        yield _ok("components", f"{up} ready, {took_s:.1f} s with everything before")
        checks = (
            *(self._create, self._execution, self._states, self._moments),
            *(self._faults, self._outage),
        )
        for check in checks:
            try:
                yield from check(system)
            except ChaosfuzzError as error:
                yield _broken(check.__name__.strip("_"), error)
                raise _Stop from error

    def _create(self, system: ProfileSystem) -> Iterator[CheckResult]:
        if self._profile.creation is None:
            remedy = "describe it in [create]; without it schedules have no work and find nothing"
            yield CheckResult(
                name="creation", state=BROKEN, detail="the profile has none", remedy=remedy
            )
            raise _Stop
        for _ in range(TASKS):
            self._tokens.append(self._ask_for_task())
        ids = "with ids" if all(self._ids(system)) else "without ids: rows have to hold the token"
        heeds = ", ".join(self._profile.creation.takes) or "nothing more"
        yield _ok("creation", f"{TASKS} tasks accepted, {ids}; it heeds {heeds}")

    def _ask_for_task(self) -> str:
        creation = self._trial.ask(duration_ms=WORK_MS)
        if creation.outcome is not Outcome.OK:
            log = self._logs / "lane-0" / f"{CLIENT}.log"
            where = f"see {log}, and " if log.exists() else ""
            raise InfrastructureError(
                cause=f"a task was not accepted ({creation.outcome}): {creation.detail}",
                remedy=f"{where}correct how the profile creates tasks ([create])",
            )
        return creation.request.token

    def _ids(self, system: ProfileSystem) -> list[str | None]:
        known = system.known_ids()
        return [known.get(token) for token in self._tokens]

    def _execution(self, system: ProfileSystem) -> Iterator[CheckResult]:
        trial = self._trial
        if not trial.wait(lambda: trial.has_finished(*self._tokens), self._bound_s):
            ran = sum(bool(trial.runs(token)) for token in self._tokens)
            ended = sum(trial.has_finished(token) for token in self._tokens)
            detail = (
                f"of {TASKS} tasks {ran} began and {ended} finished by the ledger within "
                f"{self._bound_s:g} s"
            )
            log = self._logs / "lane-0" / f"{WORKER}.log"
            remedy = f"{_WRITE_LEDGER}; what the worker said: {log}"
            yield CheckResult(name="execution", state=BROKEN, detail=detail, remedy=remedy)
            raise _Stop
        runs = [run for token in self._tokens for run in trial.runs(token)]
        strangers = sorted({e.component for e in runs} - {WORKER})
        if strangers:
            detail = f"the ledger names {', '.join(strangers)}, the worker is {WORKER}"
            remedy = "write what CHAOSFUZZ_COMPONENT holds"
            yield CheckResult(name="execution", state=BROKEN, detail=detail, remedy=remedy)
            raise _Stop
        yield _ok("execution", f"{TASKS} tasks ran and finished by the ledger")

    def _states(self, system: ProfileSystem) -> Iterator[CheckResult]:
        seen: dict[str, None] = {}

        def completed() -> bool:
            rows = self._rows()
            seen.update(dict.fromkeys(row.status.value for row in rows))
            done = {row.token for row in rows if row.status is TaskStatus.COMPLETED}
            return done.issuperset(self._tokens)

        if not self._trial.wait(completed, self._bound_s):
            rows = self._rows()
            known = {row.token for row in rows}
            lost = sum(token not in known for token in self._tokens)
            detail = f"finished tasks are not shown as completed: seen {', '.join(seen) or 'none'}"
            remedy = "map the word for completed in tasks.states"
            if lost:
                detail = f"{lost} of {TASKS} tasks are not among the {len(rows)} that are listed"
                remedy = (
                    "let tasks.query give the token, or creation the id; if rows of finished "
                    'tasks are deleted, write deleted_means = "completed"'
                )
            yield CheckResult(name="state mapping", state=BROKEN, detail=detail, remedy=remedy)
            raise _Stop
        differing = self._differing_id()
        if differing:
            yield CheckResult(
                name="ids",
                state=BROKEN,
                detail=differing,
                remedy="write the id as tasks.query gives it, or leave `task` out of the lines",
            )
            raise _Stop
        yield _ok("state mapping", f"all are completed in the end; seen: {', '.join(seen)}")

    def _rows(self) -> tuple[TaskState, ...]:
        return self._trial.history.observations[-1].tasks or ()

    def _differing_id(self) -> str:
        listed = {row.token: row.task_id for row in self._rows()}
        for token in self._tokens:
            for run in self._trial.runs(token):
                if run.task_id != listed[token]:
                    return (
                        f"the ledger calls a task {run.task_id!r}, the queue "
                        f"{listed[token]!r}: they would count as two"
                    )
        return ""

    def _moments(self, system: ProfileSystem) -> Iterator[CheckResult]:
        made = {r.component for r in system.requests()}
        kinds = {(r.component, r.event) for r in system.requests()}
        for component, needed in ((WORKER, True), (CLIENT, False)):
            count = sum(name == component for name, _ in kinds)
            if component in made:
                yield _ok("moments", f"{component} makes {count} kinds of requests")
            elif component == CLIENT and self._profile.server is not None:
                yield _ok("moments", "tasks are created by way of the server")
            else:
                detail = f"no request of {component} came by its way to the database"
                remedy = "connect by {dsn}, or {host} and {port_db}, and nothing else"
                state = BROKEN if needed else MISSING
                yield CheckResult(name="moments", state=state, detail=detail, remedy=remedy)

    def _faults(self, system: ProfileSystem) -> Iterator[CheckResult]:
        if system.pause(WORKER) and system.resume(WORKER):
            yield _ok("pause", f"{WORKER} with all its processes stood still and goes on")
        if system.terminate_backend(WORKER, 0):
            yield _ok("sessions", f"sessions of {WORKER} are found by their application name")
        else:
            yield CheckResult(
                name="sessions",
                state=MISSING,
                detail=f"no session has the application name {WORKER}: terminate_backend is idle",
                remedy="keep application_name of {dsn}, or set it to {component}",
            )
        system.kill(WORKER, graceful=False)
        system.start(WORKER)
        yield from self._works_again("kill and restart")
        began = time.monotonic()
        ended = system.kill(WORKER, graceful=True)
        took_s = time.monotonic() - began
        if ended and took_s < self._profile.worker.grace_s:
            yield _ok("graceful end", f"{WORKER} ended {took_s:.1f} s after its stop signal")
        else:
            yield CheckResult(
                name="graceful end",
                state=MISSING,
                detail=f"{WORKER} had to be killed after {took_s:.1f} s",
                remedy="set worker.stop_signal, or a longer worker.grace_s",
            )

    def _outage(self, system: ProfileSystem) -> Iterator[CheckResult]:
        """Stop the database and start it: a worker lives through that, or comes back."""
        system.start(WORKER)
        if self._lacks_outages or not system.stop_database("fast"):
            return
        system.start_database()
        began = time.monotonic()
        trial, known = self._trial, len(self._trial.history.exits)
        asked: list[str] = []

        def ended() -> list[ProcessExit]:
            new = trial.history.exits[known:]
            return [exit_ for exit_ in new if exit_.component == WORKER and not exit_.ordered]

        def is_over() -> bool:
            if not asked:
                with contextlib.suppress(InfrastructureError):
                    asked.append(self._ask_for_task())
            done = bool(asked) and trial.has_finished(*asked)
            return done or (bool(ended()) and self._profile.worker.restart == "never")

        in_time = trial.wait(is_over, self._bound_s)
        yield self._told_of_outage(ended(), time.monotonic() - began, in_time=in_time)

    def _told_of_outage(
        self, gone: list[ProcessExit], took_s: float, *, in_time: bool
    ) -> CheckResult:
        detail, remedy = f"{WORKER} lived, and did a task {took_s:.1f} s later", ""
        if gone:
            detail = f"{WORKER} ended with exit code {gone[0].exit_code}"
            allowed = self._profile.contract.worker_exit is not WorkerExit.BROKEN
            if self._profile.worker.restart == "never" or not allowed:
                remedy = (
                    "if it may, and whoever runs it starts it again, write "
                    'worker.restart = "on-failure" and contract.worker_exit = "without-database"'
                )
            else:
                detail += f", was started again, and did a task {took_s:.1f} s later"
        if not in_time:
            detail = f"no task was done within {self._bound_s:g} s"
            remedy = "if it takes longer by contract, raise contract.recovery_ms"
        state = MISSING if remedy else OK
        return CheckResult(
            name="restart of the database", state=state, detail=detail, remedy=remedy
        )

    def _works_again(self, name: str) -> Iterator[CheckResult]:
        token = self._ask_for_task()
        if self._trial.wait(lambda: self._trial.has_finished(token), self._bound_s):
            yield _ok(name, "a new worker did a new task")
            return
        log = self._logs / "lane-0" / f"{WORKER}.log"
        yield CheckResult(
            name=name,
            state=BROKEN,
            detail=f"after a kill and a start a task was not done within {self._bound_s:g} s",
            remedy=f"see {log}; if it takes longer by contract, raise contract.recovery_ms",
        )
        raise _Stop


def _ok(name: str, detail: str) -> CheckResult:
    return CheckResult(name=name, state=OK, detail=detail)


def _broken(name: str, error: ChaosfuzzError) -> CheckResult:
    return failed_check(name or "requirements", error)
