"""The driver of scenarios: the running system of a scenario, on which phases are performed."""

import random
import time
import uuid
from collections.abc import Callable

from chaosfuzz.actions import make_step
from chaosfuzz.domain.action import RETRY_STRATEGIES, TASK_TYPES
from chaosfuzz.domain.breaker import BreakerState
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.outcome import Outcome, Reply
from chaosfuzz.domain.scenario import Criterion, Mark, Recovery, WorkerKill
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import System, TaskService
from chaosfuzz.domain.task import Execution, TaskRequest, TaskState
from chaosfuzz.domain.task_counts import TaskCounts
from chaosfuzz.execution.loop import Loop, is_canary
from chaosfuzz.scenarios.levels import NO_PROGRESS_S
from chaosfuzz.scenarios.monitor import CREATE, Monitor
from chaosfuzz.scenarios.parts import Pace, ScenarioParts
from chaosfuzz.scenarios.phases import Create, Program

# All chosen by hand. While tasks are created, every tenth is followed by an observation.
OBSERVE_EVERY = 10
# The time to create a task before it is measured; afterwards it may take MARGIN times as long.
CREATION_NS = 40_000_000
MARGIN = 2
SLACK_NS = 150_000_000
OUTLASTING = 2
# The share of the run's time that judging may take, see Observer.
JUDGING_SHARE = 0.2


class Stage(Loop):
    """One scenario on one fresh system. The functions of Python scenarios get it.

    `criteria`, `kills`, `recoveries` and `notes` collect the results. `stuck` is true after a wait
    in which nothing moved any more; then no further phase is performed.
    """

    parts: ScenarioParts

    def __init__(
        self,
        system: System,
        program: Program,
        parts: ScenarioParts,
        pace: Pace,
        name: str,
        seed: str,
    ) -> None:
        super().__init__(system, parts, program.workers, judging_share=JUDGING_SHARE)
        self.pace = pace
        self.monitor = Monitor(system, pace, self.history.began_ns)
        self.program = program
        self.name = name
        self.random = random.Random(seed)
        self.criteria: list[Criterion] = []
        self.kills: list[WorkerKill] = []
        self.recoveries: list[Recovery] = []
        self.notes: list[str] = []
        self.stuck = False
        self._longest_s = 0.0
        self._creation_ns = CREATION_NS
        self._turns = 0

    def settle(self) -> None:
        """Wait, by progress, until every accepted task is in a terminal state."""
        self.wait(lambda: not self.unfinished(), None)

    @property
    def undecided(self) -> dict[str, None]:
        """The reasons why the scenario cannot be decided, each once."""
        return self.observer.undecided

    def note(self, line: str) -> None:
        """Add a line to the report, the log and the journal."""
        self.notes.append(line)
        self.parts.say(f"{self.name}: {line}")
        self.parts.journal.write("note", scenario=self.name, line=line)

    def expect(self, name: str, measured: str, target: str, *, met: bool) -> None:
        """Record a measurement with its target. The scenario fails if it is not met."""
        mark = Mark.MET if met else Mark.MISSED
        self.criteria.append(Criterion(name=name, measured=measured, target=target, mark=mark))

    def require(self, name: str, measured: str, target: str, *, met: bool) -> None:
        """Record what the harness did. The scenario is undecided if it is not met."""
        mark = Mark.MET if met else Mark.WARNING
        self.criteria.append(Criterion(name=name, measured=measured, target=target, mark=mark))
        if not met:
            self.undecided[f"{name}: {measured}, wanted {target}"] = None

    def perform(self, action: str, **arguments: int) -> Performed:
        """Perform the action of this name with these arguments; see `do`."""
        return self.do(make_step(action, **arguments))

    def do(self, step: Step) -> Performed:
        """Log and perform a step, observe with health, and return the outcome."""
        self.parts.say(f"{self.name}: {self.elapsed_s():.1f} s {step}")
        return self.perform_step(step, len(self.history.steps), ask_health=True)

    def create(self, wanted: Create) -> list[Outcome]:
        """Ask for the tasks of a phase, each once, and return the outcome of each request.

        With `together` all are due at the time at which the last one should have been created.
        """
        if not isinstance(self.system, TaskService):
            message = "this target takes no tasks, so no scenario can run on it"
            raise UsageError(cause=message, remedy="run it on the target reference")
        service = _MonitoredService(self.system, self.monitor)
        duration_ms = self._duration_ms(wanted)
        began_ns = time.monotonic_ns()
        due_ns = began_ns + SLACK_NS + wanted.count * self._creation_ns if wanted.together else 0
        outcomes = []
        for _ in range(wanted.count):
            request = TaskRequest(
                number=len(self.history.creations) + 1,
                token=uuid.uuid4().hex,
                duration_ms=duration_ms,
                delay_ms=max(0, (due_ns - time.monotonic_ns()) // 10**6),
                failures=wanted.failures,
                strategy=RETRY_STRATEGIES.index(wanted.retry),
                max_attempts=self.contract.max_attempts,
                task_type=TASK_TYPES.index(wanted.task_type),
                tag=wanted.tag,
            )
            outcomes.append(self.create_task(request, service))
            self.parts.stop.check()
            # An observation after each task would slow creation down to the pace of the workers.
            if request.number % OBSERVE_EVERY == 0:
                self.observe()
        self._creation_ns = MARGIN * (time.monotonic_ns() - began_ns) // wanted.count
        self.tick()
        return outcomes

    def _duration_ms(self, wanted: Create) -> int:
        if not wanted.outlasts:
            return self.pace.task_ms(wanted.task_s)
        duration_ms = OUTLASTING * max(self.contract.lease_ms, self.contract.pickup_ms)
        self._longest_s = max(self._longest_s, duration_ms / 1000)
        return duration_ms

    def deadline_s(self) -> float:
        """Return the deadline in seconds from the first creation, at this speed."""
        return self.pace.seconds(self.program.deadline_s) + self._longest_s

    def past_deadline(self) -> bool:
        """Say whether the deadline has passed; False before the first task."""
        first = self.history.creations[0] if self.history.creations else None
        if first is None:
            return False
        elapsed_s = (time.monotonic_ns() - first.sent_ns) / 1e9
        return elapsed_s > self.deadline_s()

    def no_progress_s(self) -> float:
        """Return the seconds without progress after which a wait ends."""
        longest_ms = max((c.request.duration_ms for c in self.history.creations), default=0)
        quiet_ms = self.contract.recovery_ms + self.contract.lease_ms + longest_ms
        latest = self.history.observations[-1] if self.history.observations else None
        breakers = latest.breakers if latest is not None else ()
        is_open = any(breaker.state is not BreakerState.CLOSED for breaker in breakers)
        if is_open and self.contract.breaker is not None:
            quiet_ms += self.contract.breaker.open_ms
        return max(self.pace.seconds(NO_PROGRESS_S), quiet_ms / 1000)

    def wait(
        self, until: Callable[[], bool], at_most_s: float | None, *, by_progress: bool = True
    ) -> bool:
        """Observe until a condition holds. Return False if it did not in time.

        The wait ends after `at_most_s` seconds (None: no bound) and, with `by_progress`, after
        `no_progress_s()` seconds in which nothing moved. In the latter case `stuck` is set and a
        note is made.
        """
        began = time.monotonic()
        done = self.wait_until(
            until,
            at_most_ms=None if at_most_s is None else at_most_s * 1000,
            quiet_ms=(lambda: 1000 * self.no_progress_s()) if by_progress else None,
        )
        waited_s = time.monotonic() - began
        if not (done or (at_most_s is not None and waited_s >= at_most_s)):
            if not self.stuck:
                quiet_s = min(waited_s, (time.monotonic_ns() - self.observer.moved_ns) / 1e9)
                self.note(f"nothing moved for {quiet_s:.0f} s; waiting is given up")
            self.stuck = True
        return done

    def observe(
        self, *, ask_health: bool = False, count_sessions: bool = False, step_done: bool = False
    ) -> None:
        """Observe and judge as Loop does; the monitor records the health requests."""
        known = len(self.history.observations)
        try:
            super().observe(
                ask_health=ask_health, count_sessions=count_sessions, step_done=step_done
            )
        finally:
            for seen in self.history.observations[known:]:
                self.monitor.record_health(seen)

    def health_is_due(self) -> bool:
        """Say whether the monitor's next health request is due."""
        return self.monitor.health_is_due()

    def tick(self, at_most_ns: int = 10**9) -> None:
        """Pause and observe as Loop does; then ask the API, sample, and show the progress."""
        super().tick(at_most_ns)
        self.monitor.tick(self.history)
        self._show()

    def _show(self) -> None:
        rows = self.rows()
        tasks = [c.request for c in self.history.creations if not is_canary(c.request)]
        done = sum(t.token in rows and rows[t.token].status.terminal for t in tasks)
        running = sum(map(len, self.at_work().values()))
        workers = len(self.system.worker_names())
        deadline = f"{self.elapsed_s():.0f} s of {self.deadline_s():.0f} s"
        self.parts.show(
            f"{self.name}: {done} of {len(tasks)} done, {running} running, "
            f"{counted(workers, 'worker')}, {deadline}"
        )

    def elapsed_s(self) -> float:
        """Return the seconds since the scenario began."""
        return (time.monotonic_ns() - self.history.began_ns) / 1e9

    def owed(self, tag: str | None = None) -> list[TaskRequest]:
        """Return the accepted tasks, all or those of a tag, that can succeed; see can_succeed."""
        return [
            c.request
            for c in self.history.creations
            if c.acknowledged and (tag is None or c.request.tag == tag) and can_succeed(c.request)
        ]

    def rows(self) -> dict[str, TaskState]:
        """Return the rows of the newest observation by token; empty if it could not read any."""
        latest = self.history.observations[-1].tasks if self.history.observations else None
        return {row.token: row for row in latest or ()}

    def unfinished(self, tag: str | None = None) -> list[TaskRequest]:
        """Return the accepted tasks, all or those of a tag, without a row in a terminal state.

        The canary counts too.
        """
        rows = self.rows()
        accepted = (c.request for c in self.history.creations if c.acknowledged)
        return [
            request
            for request in accepted
            if (tag is None or request.tag == tag)
            and (request.token not in rows or not rows[request.token].status.terminal)
        ]

    def counts(self, tag: str) -> TaskCounts:
        """Observe, and count the tasks of a tag by status."""
        self.observe()
        rows = self.rows()
        asked = [c.request.token for c in self.history.creations if c.request.tag == tag]
        return TaskCounts.of(rows[token].status.value for token in asked if token in rows)

    def at_work(self) -> dict[str, list[Execution]]:
        """Return the running executions of each worker that is up, by the ledger."""
        running: dict[str, list[Execution]] = {}
        alive = set(self.system.worker_names())
        gone = {each.pid for each in self.history.exits}
        for execution in self.history.executions:
            is_open = execution.end_ns is None and execution.pid not in gone
            if is_open and execution.token and execution.component in alive:
                running.setdefault(execution.component, []).append(execution)
        return running

    def breaker(self, task_type: str) -> BreakerState:
        """Return the state of a task type's breaker in the newest observation; CLOSED if none."""
        latest = self.history.observations[-1]
        states = (b.state for b in latest.breakers if b.task_type == task_type)
        return next(states, BreakerState.CLOSED)

    def has_turned(self, task_type: str, state: BreakerState) -> bool:
        """Say whether a breaker went to a state after the last transition this method returned.

        If so, that transition and those before it are used up for the next call.
        """
        turns = [t for t in self.history.observations[-1].transitions if t.task_type == task_type]
        for index, turn in enumerate(turns[self._turns :], self._turns + 1):
            if turn.after is state:
                self._turns = index
                return True
        return False


class _MonitoredService:
    """Records each creation with the monitor (implements TaskService)."""

    def __init__(self, service: TaskService, monitor: Monitor) -> None:
        self._service = service
        self._monitor = monitor

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        """Create the task, and record the request."""
        sent_ns = time.monotonic_ns()
        reply = self._service.create(request, due_ns)
        self._monitor.record_call(CREATE, sent_ns, time.monotonic_ns(), reply.status)
        return reply


def can_succeed(request: TaskRequest) -> bool:
    """Say whether a task has more attempts than are to fail. The canary counts as False."""
    attempts = 1 if RETRY_STRATEGIES[request.strategy] == "none" else request.max_attempts
    return request.failures < attempts and not is_canary(request)
