"""Starts a profile's system, creates tasks, injects faults, and reports whether each part works."""

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
    "have each handler write a start and an end line to the file CHAOSFUZZ_LEDGER, or post them "
    "to CHAOSFUZZ_LEDGER_URL (docs/profiles.md shows both)"
)


class _Stop(Exception):  # noqa: N818 - ends the checks, is no error
    """A check failed on which all later checks depend."""


class ProfileCheck:
    """A check of a profile. The logs of its components are written to `logs`/lane-0."""

    def __init__(self, profile: Profile, logs: Path) -> None:
        self._profile = profile
        self._logs = logs
        self._stage = ""
        self._tokens: list[str] = []
        self._lacks_outages = True
        self._bound_s = (profile.contract.recovery_ms + profile.contract.pickup_ms) / 1000

    def run(self) -> Iterator[CheckResult]:
        """Start the system and yield a result for each check.

        A failed check on which the later ones depend is the last. Everything that was started is
        ended.
        """
        stack = ExitStack()
        try:
            yield from self._in_order(stack)
        except _Stop:
            pass
        finally:
            began = time.monotonic()
            stack.close()
        took_ms = 1000 * (time.monotonic() - began)
        yield _ok("clean-up", f"everything that was started has ended, in {took_ms:.0f} ms")

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
        yield _ok("components", f"{up} ready, {took_s:.1f} s after the start of the check")
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
            remedy = "describe it in [create]; schedules without tasks find no violation"
            yield CheckResult(
                name="creation", state=BROKEN, detail="the profile has no [create]", remedy=remedy
            )
            raise _Stop
        for _ in range(TASKS):
            self._tokens.append(self._ask_for_task())
        ids = "with ids" if all(self._ids(system)) else "no ids: tasks.query has to list tokens"
        heeds = ", ".join(self._profile.creation.takes) or "no argument"
        yield _ok("creation", f"{TASKS} tasks accepted, {ids}; heeds {heeds}")

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
                f"the ledger shows that {ran} of {TASKS} tasks began and {ended} finished within "
                f"{self._bound_s:g} s"
            )
            log = self._logs / "lane-0" / f"{WORKER}.log"
            remedy = f"{_WRITE_LEDGER}; the worker's log is {log}"
            yield CheckResult(name="execution", state=BROKEN, detail=detail, remedy=remedy)
            raise _Stop
        runs = [run for token in self._tokens for run in trial.runs(token)]
        strangers = sorted({e.component for e in runs} - {WORKER})
        if strangers:
            detail = f"the ledger names {', '.join(strangers)}, but {WORKER} ran the tasks"
            remedy = "write the value of CHAOSFUZZ_COMPONENT as component"
            yield CheckResult(name="execution", state=BROKEN, detail=detail, remedy=remedy)
            raise _Stop
        yield _ok("execution", f"the ledger shows that {TASKS} tasks ran and finished")

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
            detail = f"finished tasks are not listed as completed: seen {', '.join(seen) or 'none'}"
            remedy = "map the queue's word for completed in tasks.states"
            if lost:
                detail = f"{lost} of {TASKS} tasks are not among the {len(rows)} listed ones"
                remedy = (
                    "have tasks.query return the token, or the creation the id; if the queue "
                    'deletes rows of finished tasks, write deleted_means = "completed"'
                )
            yield CheckResult(name="state mapping", state=BROKEN, detail=detail, remedy=remedy)
            raise _Stop
        differing = self._differing_id()
        if differing:
            yield CheckResult(
                name="ids",
                state=BROKEN,
                detail=differing,
                remedy="write the id as tasks.query returns it, or leave `task` out of the lines",
            )
            raise _Stop
        yield _ok("state mapping", f"every task ends as completed; states seen: {', '.join(seen)}")

    def _rows(self) -> tuple[TaskState, ...]:
        return self._trial.history.observations[-1].tasks or ()

    def _differing_id(self) -> str:
        listed = {row.token: row.task_id for row in self._rows()}
        for token in self._tokens:
            for run in self._trial.runs(token):
                if run.task_id != listed[token]:
                    return (
                        f"a task has the id {run.task_id!r} in the ledger and "
                        f"{listed[token]!r} in the queue, so it would count as two tasks"
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
                yield _ok("moments", "the server, not the client, writes tasks to the database")
            else:
                detail = f"the proxy saw no request of {component} to the database"
                remedy = "connect by {dsn}, or by {host} and {port_db}, and by no other address"
                state = BROKEN if needed else MISSING
                yield CheckResult(name="moments", state=state, detail=detail, remedy=remedy)

    def _faults(self, system: ProfileSystem) -> Iterator[CheckResult]:
        if system.pause(WORKER) and system.resume(WORKER):
            yield _ok("pause", f"every process of {WORKER} was paused and resumed")
        if system.terminate_backend(WORKER, 0):
            yield _ok("sessions", f"sessions of {WORKER} are identified by their application name")
        else:
            yield CheckResult(
                name="sessions",
                state=MISSING,
                detail=f"no session has {WORKER} as its application name: nothing can terminate it",
                remedy="keep the application_name of {dsn}, or set it to {component}",
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
                detail=f"{WORKER} had to be killed {took_s:.1f} s after its stop signal",
                remedy="set worker.stop_signal to the signal it heeds, or a longer worker.grace_s",
            )

    def _outage(self, system: ProfileSystem) -> Iterator[CheckResult]:
        """Restart the database; the worker has to survive or be started again, and do a task.

        Skipped if the profile's database cannot be stopped.
        """
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
        detail, remedy = f"{WORKER} survived, and did a task {took_s:.1f} s later", ""
        if gone:
            detail = f"{WORKER} ended with exit code {gone[0].exit_code}"
            allowed = self._profile.contract.worker_exit is not WorkerExit.BROKEN
            if self._profile.worker.restart == "never" or not allowed:
                remedy = (
                    f"see its log {self._logs / 'lane-0' / f'{WORKER}.log'}; if this is documented "
                    'and its supervisor starts it again, write worker.restart = "on-failure" and '
                    'contract.worker_exit = "without-database"; if not, it is a finding'
                )
            else:
                detail += f", was started again, and did a task {took_s:.1f} s later"
        if not in_time:
            ended = f"ended with exit code {gone[0].exit_code}" if gone else "survived"
            restart = self._profile.worker.restart
            detail = (
                f"{WORKER} {ended} (worker.restart = {restart}), and no task was done within "
                f"{self._bound_s:g} s after the database came back"
            )
            remedy = (
                f"see its log {self._logs / 'lane-0' / f'{WORKER}.log'}; if its supervisor starts "
                "it again after such an exit, set worker.restart as there; if not, this is a "
                "finding: the worker does not recover from a database restart"
            )
        state = MISSING if remedy else OK
        return CheckResult(
            name="restart of the database", state=state, detail=detail, remedy=remedy
        )

    def _works_again(self, name: str) -> Iterator[CheckResult]:
        token = self._ask_for_task()
        if self._trial.wait(lambda: self._trial.has_finished(token), self._bound_s):
            yield _ok(name, "a restarted worker did a new task")
            return
        log = self._logs / "lane-0" / f"{WORKER}.log"
        yield CheckResult(
            name=name,
            state=BROKEN,
            detail=(
                f"{WORKER} was killed and started again, and did no new task within "
                f"{self._bound_s:g} s (contract.recovery_ms + contract.pickup_ms)"
            ),
            remedy=(
                f"see its log {log}; correct contract.recovery_ms only if the documentation of the "
                "queue names a longer time"
            ),
        )
        raise _Stop


def _ok(name: str, detail: str) -> CheckResult:
    return CheckResult(name=name, state=OK, detail=detail)


def _broken(name: str, error: ChaosfuzzError) -> CheckResult:
    return failed_check(name or "requirements", error)
