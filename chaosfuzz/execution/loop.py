"""The one loop that turns a schedule into a history and judges it on the way."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from chaosfuzz.domain.action import Role, find_action
from chaosfuzz.domain.fault import Injector, Journal, Judge, Performed
from chaosfuzz.domain.history import FaultKind, Health, History, StepRecord
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.target import Lane, RunResult, System, TaskService
from chaosfuzz.domain.task import TaskRequest
from chaosfuzz.domain.verdict import Failure, Verdict
from chaosfuzz.domain.wire import Request, Trappable
from chaosfuzz.execution.lookout import POLL_S, Lookout, ViolationSeenError
from chaosfuzz.execution.opening import open_system
from chaosfuzz.execution.progress import all_terminal, effort_ms
from chaosfuzz.execution.stalls import StallMonitor
from chaosfuzz.execution.strikes import NOT_COME, Strikes
from chaosfuzz.execution.unjudging import Unjudging
from chaosfuzz.execution.work import WORK_ACTIONS, ask_for_dead_letters, create, perform_work

Injectors = Callable[[int], Sequence[Injector]]


class ScheduleRunner:
    """Runs schedules one after another in a lane (implements the Runner protocol)."""

    def __init__(
        self,
        lane: Lane,
        injectors: Injectors,
        judge: Judge,
        journal: Journal,
        stop: threading.Event,
    ) -> None:
        self.lane = lane
        self.injectors = injectors
        self.judge = judge
        self.journal = journal
        self.stop = stop
        self.stalls = StallMonitor()

    def run(self, schedule: Schedule) -> RunResult:
        """Run and judge one schedule on a fresh system."""
        result, _ = self._run(schedule)
        return result

    def trace(self, schedule: Schedule) -> tuple[RunResult, tuple[Request, ...]]:
        """Run without judging, and return what components asked their database as well."""
        return self._run(schedule, traced=True)

    def _run(
        self, schedule: Schedule, *, traced: bool = False
    ) -> tuple[RunResult, tuple[Request, ...]]:
        requests: tuple[Request, ...] = ()
        began = time.monotonic()
        seed = schedule.serial_seed
        order = {} if seed is None else {"serial_seed": seed}
        self.journal.write("schedule", workers=schedule.workers, steps=len(schedule.steps), **order)
        system = open_system(self.lane, schedule)
        opened = time.monotonic()
        try:
            run = _Run(self, system, schedule, Unjudging() if traced else self.judge)
            result = run.execute(began)
            if traced and isinstance(system, Trappable):
                requests = tuple(system.requests())
        finally:
            closing = time.monotonic()
            system.close()
        closed = time.monotonic()
        phases = (
            ("open", opened - began),
            *run.phases(),
            ("close", closed - closing),
        )
        self.journal.write("verdict", verdict=result.verdict.value, steps=result.steps_run)
        return _with_phases(result, phases, closed - began), requests

    def close(self) -> None:
        """End the lane."""
        self.stalls.close()
        self.lane.close()


def _with_phases(
    result: RunResult, phases: tuple[tuple[str, float], ...], duration_s: float
) -> RunResult:
    return replace(result, phases_s=phases, duration_s=duration_s)


class _Run:
    """One schedule's run."""

    def __init__(
        self, owner: ScheduleRunner, system: System, schedule: Schedule, judge: Judge
    ) -> None:
        self.owner = owner
        self.system = system
        self.schedule = schedule
        self.contract = system.contract
        self.injectors = tuple(owner.injectors(max(1, schedule.workers)))
        self.by_action = {name: i for i in self.injectors for name in i.actions}
        self.history = History(began_ns=time.monotonic_ns())
        self.strikes = Strikes(system, self.history, self.by_action, owner.journal)
        self.lookout = Lookout(system, self.history, self.strikes, judge, owner.stalls, owner.stop)
        self.steps_s = self.wait_s = self.settle_s = 0.0

    def phases(self) -> tuple[tuple[str, float], ...]:
        """Where the time went, in seconds."""
        return (("steps", self.steps_s), ("waits", self.wait_s), ("settle", self.settle_s))

    def execute(self, began: float) -> RunResult:
        failure: Failure | None = None
        also: tuple[Failure, ...] = ()
        try:
            self.lookout.observe(ask_health=True)
            self.arm(0)
            for index, step in enumerate(self.schedule.steps):
                self.lookout.step = index
                if step.at is None:
                    self.arm(index + 1)
                self.perform(step)
            self.lookout.step = None
            settled = time.monotonic()
            try:
                self.heal()
                self.settle()
                self.finish()
            finally:
                self.settle_s = time.monotonic() - settled
        except ViolationSeenError as seen:
            failure, also = seen.failure, seen.also
        finally:
            self.strikes.disarm()
        verdict = Verdict.HOLDS
        if failure is not None:
            verdict = Verdict.VIOLATED
        elif self.lookout.undecided:
            verdict = Verdict.UNKNOWN
        return RunResult(
            schedule=self.schedule,
            verdict=verdict,
            failure=failure,
            also=also,
            steps_run=len(self.history.steps),
            waited_s=self.wait_s + self.settle_s,
            states_seen=frozenset(self.lookout.states_seen),
            faults=len(self.history.faults),
            moments=len(self.strikes.armed) - len(self.strikes.missed()),
            missed=self.strikes.missed(),
            undecided=tuple(self.lookout.undecided),
            limits=tuple(self.lookout.limits.values()),
            history=self.history,
        )

    def perform(self, step: Step) -> None:
        """Journal, invoke, record, observe and check one step."""
        index = self.lookout.step
        assert index is not None
        if self.owner.stop.is_set():
            raise KeyboardInterrupt
        self.owner.journal.write("step", index=index, step=str(step))
        began_ns = time.monotonic_ns()
        performed = self.dispatch(step)
        ended_ns = time.monotonic_ns()
        elapsed = (ended_ns - began_ns) / 1e9
        if step.action.startswith("wait"):
            self.wait_s += elapsed
        else:
            self.steps_s += elapsed
        self.history.steps.append(
            StepRecord(
                index=index,
                step=step,
                began_ns=began_ns,
                ended_ns=ended_ns,
                outcome=performed.outcome,
                applied=performed.applied,
                detail=performed.detail,
            )
        )
        self.lookout.observe(ask_health=self.health_may_differ(step), step_done=True)

    def health_may_differ(self, step: Step) -> bool:
        """Say whether health is worth asking for: something was broken, mended, or is down."""
        down = (FaultKind.DATABASE_DOWN, FaultKind.SERVER_DOWN)
        touched = find_action(step.action).role in {Role.FAULT, Role.HEAL}
        return touched or any(map(self.history.fault_in_force, down))

    def arm(self, index: int) -> None:
        """Arm the steps with moments that follow one another from here on."""
        for later in range(index, len(self.schedule.steps)):
            step = self.schedule.steps[later]
            if step.at is None:
                return
            self.strikes.arm(later, step)

    def wait_moment(self) -> Performed:
        """Wait until a step's moment has come, as long as there is progress."""
        index = self.lookout.step
        assert index is not None
        armed = self.strikes.armed[index]
        self.lookout.watch(
            lambda: armed.performed is not None, self.contract.patience_ms, progress=True
        )
        return armed.performed or NOT_COME

    def dispatch(self, step: Step) -> Performed:
        """Hand the step to whoever performs it."""
        if step.at is not None:
            return self.wait_moment()
        if step.action in WORK_ACTIONS:
            return perform_work(step, self.system, self.history)
        if step.action in self.by_action:
            return self.by_action[step.action].perform(step, self.system, self.history)
        if step.action == "wait":
            self.lookout.watch(lambda: False, step["ms"])
            return Performed(applied=True)
        if step.action == "wait_lease":
            return self.wait_lease()
        assert step.action == "wait_idle", step
        return self.wait_idle()

    def wait_lease(self) -> Performed:
        """Wait out the leases held now; ends early once somebody else runs their tasks."""
        running = {e.task_id for e in self.history.executions if e.end_ns is None}
        known = len(self.history.executions)
        if not running:
            return Performed(applied=False, outcome=Outcome.FAILED, detail="no lease is held")

        def taken_over() -> bool:
            return any(e.task_id in running for e in self.history.executions[known:])

        patience_ms = self.contract.patience_ms
        self.lookout.watch(taken_over, patience_ms + patience_ms // 2)
        return Performed(applied=True)

    def wait_idle(self) -> Performed:
        """Wait until all tasks are terminal, as long as there is somebody to work on them."""
        stopped = self.history.fault_in_force(FaultKind.DATABASE_DOWN)
        if stopped or not self.system.worker_names():
            return Performed(applied=False, outcome=Outcome.FAILED, detail="nobody can work")
        idle = self.lookout.watch(
            lambda: all_terminal(self.history), 2 * self.contract.patience_ms, progress=True
        )
        return Performed(applied=True, detail="" if idle else "not idle in time")

    def heal(self) -> None:
        """Undo every fault; moments that have not come by now never will."""
        self.owner.journal.write("heal")
        self.strikes.disarm()
        for injector in self.injectors:
            injector.heal(self.system, self.history)
        self.history.healed_ns = time.monotonic_ns()

    def settle(self) -> None:
        """Wait, by progress, until the work is done or nothing moves any more."""
        now_ns = time.monotonic_ns()
        due_ms = longest_ms = work_ms = 0.0
        for creation in self.history.creations:
            request = creation.request
            due_ms = max(due_ms, (creation.sent_ns - now_ns) / 1e6 + request.delay_ms)
            longest_ms = max(longest_ms, request.duration_ms)
            work_ms += effort_ms(request, self.contract)
        quiet_ms = self.contract.recovery_ms + due_ms + longest_ms
        self.lookout.watch(
            lambda: all_terminal(self.history), quiet_ms, progress=True, work_ms=work_ms
        )

    def finish(self) -> None:
        """See that the healed system takes and does new work, then check everything."""
        deadline = time.monotonic() + self.contract.health_ms / 1000
        self.wait_until_well(deadline)
        if isinstance(self.system, TaskService) and all_terminal(self.history):
            while self.create_canary(self.system) is not Outcome.OK:
                if time.monotonic() >= deadline:
                    break
                self.wait_until_well(deadline)
            self.lookout.watch(
                lambda: all_terminal(self.history), self.contract.recovery_ms, progress=True
            )
        ask_for_dead_letters(self.system, self.history)
        self.lookout.observe(ask_health=True, count_sessions=True)
        self.lookout.check(final=True)

    def create_canary(self, service: TaskService) -> Outcome:
        """Ask for one plain task."""
        number = len(self.history.creations) + 1
        request = TaskRequest(
            number=number,
            token=f"canary-{time.monotonic_ns()}",
            max_attempts=self.contract.max_attempts,
        )
        return create(request, service, self.history, lose=False)

    def wait_until_well(self, deadline: float) -> None:
        """Ask for health until it is well or the deadline is over; at least one tick passes."""
        while time.monotonic() < deadline:
            if self.owner.stop.wait(POLL_S):
                raise KeyboardInterrupt
            self.lookout.observe(ask_health=True)
            if self.history.observations[-1].health in {Health.WELL, Health.UNASKED}:
                return
