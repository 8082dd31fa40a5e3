"""The driver of scenarios: performs phases on a running system, and waits by what it shows."""

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
from chaosfuzz.domain.scenario import Criterion, Mark, Recovery, Strike
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import System, TaskService
from chaosfuzz.domain.task import Execution, TaskRequest, TaskState
from chaosfuzz.domain.task_counts import TaskCounts
from chaosfuzz.execution.loop import Loop, is_canary
from chaosfuzz.scenarios.levels import NO_PROGRESS_S
from chaosfuzz.scenarios.monitor import CREATE, Monitor
from chaosfuzz.scenarios.phases import Create, Program
from chaosfuzz.scenarios.seams import Pace, Seams

LOOK_AFTER = 10
# How long creating a task takes until that has been measured, and how much more it may take then.
CREATION_NS = 40_000_000
MARGIN = 2
SLACK_NS = 150_000_000
OUTLASTING = 2
# So much of the time may go into judging between the end and the beginning.
JUDGING_SHARE = 0.2


class Stage(Loop):
    """One scenario on one fresh system; Python scenarios get it, too."""

    def __init__(
        self, system: System, program: Program, seams: Seams, pace: Pace, name: str, seed: str
    ) -> None:
        super().__init__(system, seams, program.workers, judging_share=JUDGING_SHARE)
        self.seams = seams
        self.pace = pace
        self.monitor = Monitor(system, pace, self.history.began_ns)
        self.program = program
        self.name = name
        self.random = random.Random(seed)
        self.criteria: list[Criterion] = []
        self.strikes: list[Strike] = []
        self.recoveries: list[Recovery] = []
        self.notes: list[str] = []
        self.stuck = False
        self._longest_s = 0.0
        self._creation_ns = CREATION_NS
        self._turns = 0

    def settle(self) -> None:
        """Wait for the rest: tasks that are late must still be there, and be done some time."""
        self.wait(lambda: not self.unfinished(), None)

    @property
    def undecided(self) -> dict[str, None]:
        """The reasons why the scenario cannot be decided, each once."""
        return self.observer.undecided

    def note(self, line: str) -> None:
        """Keep a line for the report."""
        self.notes.append(line)
        self.seams.say(f"{self.name}: {line}")
        self.seams.journal.write("note", scenario=self.name, line=line)

    def expect(self, name: str, measured: str, target: str, *, met: bool) -> None:
        """Hold a measurement against its target; a missed one fails the scenario."""
        mark = Mark.MET if met else Mark.MISSED
        self.criteria.append(Criterion(name=name, measured=measured, target=target, mark=mark))

    def require(self, name: str, measured: str, target: str, *, met: bool) -> None:
        """Hold what the harness did against what it was to do; else the scenario is undecided."""
        mark = Mark.MET if met else Mark.WARNING
        self.criteria.append(Criterion(name=name, measured=measured, target=target, mark=mark))
        if not met:
            self.undecided[f"{name}: {measured}, wanted {target}"] = None

    def perform(self, action: str, **arguments: int) -> Performed:
        """Do the action of a name, see `do`."""
        return self.do(make_step(action, **arguments))

    def do(self, step: Step) -> Performed:
        """Do a fault or its healing, and observe what came of it."""
        self.seams.say(f"{self.name}: {self.elapsed_s():.1f} s {step}")
        return self.perform_step(step, len(self.history.steps), ask_health=True)

    def create(self, wanted: Create) -> list[Outcome]:
        """Ask for tasks, each once."""
        if not isinstance(self.system, TaskService):
            message = "this target takes no tasks, so no scenario can run on it"
            raise UsageError(cause=message, remedy="run it on reference")
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
            # Tasks are to pile up: looking after each would let the workers keep pace.
            if request.number % LOOK_AFTER == 0:
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
        """Return the deadline in seconds from the first task."""
        return self.pace.seconds(self.program.deadline_s) + self._longest_s

    def past_deadline(self) -> bool:
        """Say whether the deadline, counted from the first task, has passed."""
        first = self.history.creations[0] if self.history.creations else None
        if first is None:
            return False
        elapsed_s = (time.monotonic_ns() - first.sent_ns) / 1e9
        return elapsed_s > self.deadline_s()

    def no_progress_s(self) -> float:
        """Return how long nothing may move before waiting is given up."""
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
        """Look on until a condition holds; False if time is over or, by progress, nothing moves."""
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
        """Look at everything and judge it; the monitor takes down what health said."""
        known = len(self.history.observations)
        try:
            super().observe(
                ask_health=ask_health, count_sessions=count_sessions, step_done=step_done
            )
        finally:
            for seen in self.history.observations[known:]:
                self.monitor.saw(seen)

    def health_is_due(self) -> bool:
        """Say whether it is time to ask for health."""
        return self.monitor.health_is_due()

    def tick(self, at_most_ns: int = 10**9) -> None:
        """Let a moment pass: look, ask the API, take a sample, show how things stand."""
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
        self.seams.show(
            f"{self.name}: {done} of {len(tasks)} done, {running} running, "
            f"{counted(workers, 'worker')}, {deadline}"
        )

    def elapsed_s(self) -> float:
        """Return the seconds since the scenario began."""
        return (time.monotonic_ns() - self.history.began_ns) / 1e9

    def owed(self, tag: str | None = None) -> list[TaskRequest]:
        """Return the accepted tasks, all or those of a tag, that nothing keeps from success."""
        return [
            c.request
            for c in self.history.creations
            if c.acknowledged and (tag is None or c.request.tag == tag) and can_succeed(c.request)
        ]

    def rows(self) -> dict[str, TaskState]:
        """Return the rows seen last, by token."""
        latest = self.history.observations[-1].tasks if self.history.observations else None
        return {row.token: row for row in latest or ()}

    def unfinished(self, tag: str | None = None) -> list[TaskRequest]:
        """Return the accepted tasks that are not in a terminal state, or not to be seen."""
        rows = self.rows()
        accepted = (c.request for c in self.history.creations if c.acknowledged)
        return [
            request
            for request in accepted
            if (tag is None or request.tag == tag)
            and (request.token not in rows or not rows[request.token].status.terminal)
        ]

    def counts(self, tag: str) -> TaskCounts:
        """Look, and count the tasks of a tag by status."""
        self.observe()
        rows = self.rows()
        asked = [c.request.token for c in self.history.creations if c.request.tag == tag]
        return TaskCounts.of(rows[token].status.value for token in asked if token in rows)

    def at_work(self) -> dict[str, list[Execution]]:
        """Return who runs what now, by the ledger."""
        running: dict[str, list[Execution]] = {}
        alive = set(self.system.worker_names())
        gone = {each.pid for each in self.history.exits}
        for execution in self.history.executions:
            is_open = execution.end_ns is None and execution.pid not in gone
            if is_open and execution.token and execution.component in alive:
                running.setdefault(execution.component, []).append(execution)
        return running

    def breaker(self, task_type: str) -> BreakerState:
        """Return the state of a task type's circuit breaker as seen last, from the database."""
        latest = self.history.observations[-1]
        states = (b.state for b in latest.breakers if b.task_type == task_type)
        return next(states, BreakerState.CLOSED)

    def has_turned(self, task_type: str, state: BreakerState) -> bool:
        """Say whether a breaker has turned to a state since the last turn that was waited for."""
        turns = [t for t in self.history.observations[-1].transitions if t.task_type == task_type]
        for index, turn in enumerate(turns[self._turns :], self._turns + 1):
            if turn.after is state:
                self._turns = index
                return True
        return False


class _MonitoredService:
    """A service whose answers to creations the monitor takes down (implements TaskService)."""

    def __init__(self, service: TaskService, monitor: Monitor) -> None:
        self._service = service
        self._monitor = monitor

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        """Ask for a task."""
        sent_ns = time.monotonic_ns()
        reply = self._service.create(request, due_ns)
        self._monitor.called(CREATE, sent_ns, time.monotonic_ns(), reply.status)
        return reply


def can_succeed(request: TaskRequest) -> bool:
    """Say whether a task has attempts enough to get over those that are to fail."""
    attempts = 1 if RETRY_STRATEGIES[request.strategy] == "none" else request.max_attempts
    return request.failures < attempts and not is_canary(request)
