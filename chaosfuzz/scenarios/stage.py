"""A running system with its history: what phases act on, and what they wait by."""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from chaosfuzz.domain.action import RETRY_STRATEGIES, TASK_TYPES
from chaosfuzz.domain.breaker import BreakerState
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import Creation
from chaosfuzz.domain.outcome import Outcome, classify
from chaosfuzz.domain.scenario import Criterion, Mark, Recovery, Strike
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import System, TaskService
from chaosfuzz.domain.task import TaskRequest
from chaosfuzz.scenarios.levels import NO_PROGRESS_S
from chaosfuzz.scenarios.phases import Create, Program
from chaosfuzz.scenarios.seams import Pace, Seams
from chaosfuzz.scenarios.sight import CANARY, Sight

POLL_S = 0.01
LOOK_AFTER = 10
# How long creating a task takes until that has been measured, and how much more it may take then.
CREATION_NS = 40_000_000
MARGIN = 2
SLACK_NS = 150_000_000
CREATE = "/api/v1/tasks"
OUTLASTING = 2


class Stage(Sight):
    """One scenario on one fresh system; Python scenarios get it, too."""

    def __init__(
        self, system: System, program: Program, seams: Seams, pace: Pace, name: str, seed: str
    ) -> None:
        super().__init__(system, seams, pace)
        self.program = program
        self.name = name
        self.random = random.Random(seed)
        self.injectors = tuple(seams.injectors(program.workers))
        self.by_action = {action: i for i in self.injectors for action in i.actions}
        self.criteria: list[Criterion] = []
        self.strikes: list[Strike] = []
        self.recoveries: list[Recovery] = []
        self.notes: list[str] = []
        self.stuck = False
        self._longest_s = 0.0
        self._creation_ns = CREATION_NS

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
        """Do a fault or its healing, and look at what came of it."""
        step = Step(action=action, arguments=tuple(arguments.items()))
        self.seams.journal.write("step", scenario=self.name, step=str(step))
        self.seams.say(f"{self.name}: {self.elapsed_s():.1f} s {step}")
        performed = self.by_action[action].perform(step, self.system, self.history)
        self.observe(ask_health=True)
        return performed

    def create(self, wanted: Create) -> list[Outcome]:
        """Ask for tasks, each once."""
        if not isinstance(self.system, TaskService):
            message = "this target takes no tasks; a scenario cannot run on it"
            raise UsageError(message)
        plain = TaskRequest(
            number=0,
            token="",
            duration_ms=self._duration_ms(wanted),
            failures=wanted.failures,
            strategy=RETRY_STRATEGIES.index(wanted.retry),
            max_attempts=self.contract.max_attempts,
            task_type=TASK_TYPES.index(wanted.task_type),
            tag=wanted.tag,
        )
        began_ns = time.monotonic_ns()
        due_ns = began_ns + SLACK_NS + wanted.count * self._creation_ns if wanted.together else 0
        outcomes = [self._create(self.system, plain, due_ns) for _ in range(wanted.count)]
        self._creation_ns = MARGIN * (time.monotonic_ns() - began_ns) // wanted.count
        self.tick()
        return outcomes

    def _create(self, service: TaskService, plain: TaskRequest, due_ns: int) -> Outcome:
        number = len(self.history.creations) + 1
        sent_ns = time.monotonic_ns()
        delay_ms = max(0, (due_ns - sent_ns) // 10**6)
        request = replace(plain, number=number, token=uuid.uuid4().hex, delay_ms=delay_ms)
        self.history.asked.append(request)
        reply = service.create(request, max(due_ns, sent_ns))
        outcome = classify(reply)
        ended_ns = time.monotonic_ns()
        self.history.creations.append(
            Creation(
                request=request,
                outcome=outcome,
                task_ids=(reply.task_id,) if reply.task_id else (),
                sent_ns=sent_ns,
                ended_ns=ended_ns,
                detail=reply.detail,
            )
        )
        if request.tag != CANARY:
            self.monitor.called(CREATE, sent_ns, ended_ns, reply.status)
        if self.seams.stop.is_set():
            raise KeyboardInterrupt
        # Tasks are to pile up: looking after each would let the workers keep pace.
        if number % LOOK_AFTER == 0:
            self.observe()
        return outcome

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
        is_open = any(b.state is not BreakerState.CLOSED for b in latest.breakers if latest)  # type: ignore[union-attr]
        if is_open and self.contract.breaker is not None:
            quiet_ms += self.contract.breaker.open_ms
        return max(self.pace.seconds(NO_PROGRESS_S), quiet_ms / 1000)

    def wait(
        self, until: Callable[[], bool], at_most_s: float | None, *, by_progress: bool = True
    ) -> bool:
        """Look on until a condition holds; False if time is over or, by progress, nothing moves."""
        began = self.moved_s = time.monotonic()
        while not until():
            now = time.monotonic()
            if at_most_s is not None and now - began >= at_most_s:
                return False
            if by_progress and now - self.moved_s > self.no_progress_s():
                if not self.stuck:
                    self.note(f"nothing moved for {now - self.moved_s:.0f} s; waiting is given up")
                self.stuck = True
                return False
            self.tick()
        return True

    def tick(self) -> None:
        """Let a moment pass: look, ask the API, take a sample, show how things stand."""
        if self.seams.stop.wait(POLL_S):
            raise KeyboardInterrupt
        self.observe(ask_health=self.monitor.health_is_due())
        self.monitor.tick(self.history)
        self._show()

    def _show(self) -> None:
        rows = self.rows()
        tasks = [c.request for c in self.history.creations if c.request.tag != CANARY]
        done = sum(t.token in rows and rows[t.token].status.terminal for t in tasks)
        running = sum(map(len, self.at_work().values()))
        workers = len(self.system.worker_names())
        deadline = f"{self.elapsed_s():.0f} s of {self.deadline_s():.0f} s"
        self.seams.show(
            f"{self.name}: {done} of {len(tasks)} done, {running} running, {workers} workers, "
            f"{deadline}"
        )
