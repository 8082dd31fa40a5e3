"""The driver of schedules: performs the steps of a schedule with the run loop."""

import time
from dataclasses import replace

from chaosfuzz.domain.action import Role
from chaosfuzz.domain.excuses import ExcusedRun
from chaosfuzz.domain.fault import Journal, Judge, Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.progress import all_terminal, effort_ms
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import Lane, RunResult, System
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.domain.view import View
from chaosfuzz.domain.wire import Request, Trappable
from chaosfuzz.execution.armed_steps import NOT_COME, ArmedSteps
from chaosfuzz.execution.loop import Loop, Parts
from chaosfuzz.execution.stalls import StallMonitor
from chaosfuzz.execution.trial import NoJudge


class ScheduleRunner:
    """Runs schedules one after another in a lane (implements Runner and TracingRunner).

    It owns the lane: `close` closes it.
    """

    def __init__(self, lane: Lane, judge: Judge, journal: Journal, stop: StopSignal) -> None:
        self.lane = lane
        self.stalls = StallMonitor()
        self._parts = Parts(judge=judge, journal=journal, stalls=self.stalls, stop=stop)

    def run(self, schedule: Schedule) -> RunResult:
        """Run and judge one schedule on a fresh system; close the system afterwards.

        Raises Stopped when the stop signal is set, and InfrastructureError if the harness failed.
        """
        result, _ = self._run(schedule, self._parts)
        return result

    def trace(self, schedule: Schedule) -> tuple[RunResult, tuple[Request, ...]]:
        """Run without checking invariants; return the result and the components' requests.

        There are no requests if the system has no proxy.
        """
        return self._run(schedule, replace(self._parts, judge=NoJudge()), traced=True)

    def _run(
        self, schedule: Schedule, parts: Parts, *, traced: bool = False
    ) -> tuple[RunResult, tuple[Request, ...]]:
        requests: tuple[Request, ...] = ()
        began = time.monotonic()
        journal = parts.journal
        journal.write("schedule", workers=schedule.workers, steps=len(schedule.steps))
        system = self.lane.open(schedule.workers)
        opened = time.monotonic()
        try:
            run = ScheduleLoop(system, parts, schedule)
            result = run.result()
            if traced and isinstance(system, Trappable):
                requests = tuple(system.requests())
        finally:
            closing = time.monotonic()
            system.close()
        closed = time.monotonic()
        phases = (("open", opened - began), *result.phases_s, ("close", closed - closing))
        journal.write("verdict", verdict=result.verdict.value, steps=result.steps_run)
        return replace(result, phases_s=phases, duration_s=closed - began), requests

    def close(self) -> None:
        """Close the lane, and end the stall monitor."""
        self.stalls.close()
        self.lane.close()


class ScheduleLoop(Loop):
    """The run of one schedule."""

    def __init__(self, system: System, parts: Parts, schedule: Schedule) -> None:
        super().__init__(system, parts, schedule.workers)
        self.schedule = schedule
        self.armed_steps = ArmedSteps(self.context, parts.journal)
        self._index: int | None = None
        self._steps_s = self._waits_s = self._settle_s = 0.0

    def result(self) -> RunResult:
        """Run the schedule and return its result. Call it once."""
        try:
            failures = self.run(self.act)
        finally:
            self.armed_steps.disarm()
        verdict = Verdict.UNKNOWN if self.observer.undecided else Verdict.HOLDS
        missed = self.armed_steps.missed()
        # A simulated system judges itself, and its rules know no excuses.
        excused: tuple[ExcusedRun, ...] = ()
        if self.simulation is None:
            view = View(self.history, self.contract, not failures, self.clock.now_ns())
            excused = view.excused_runs()
        for rerun in excused:
            self.parts.journal.write("excused", run=str(rerun))
        return RunResult(
            schedule=self.schedule,
            verdict=Verdict.VIOLATED if failures else verdict,
            failure=failures[0] if failures else None,
            also=failures[1:],
            steps_run=len(self.history.steps),
            waited_s=self._waits_s + self._settle_s,
            states_seen=frozenset(self.observer.states_seen),
            faults=len(self.history.faults),
            moments=len(self.armed_steps.armed) - len(missed),
            missed=missed,
            undecided=tuple(self.observer.undecided),
            limits=tuple(self.observer.limits.values()),
            phases_s=(
                ("steps", self._steps_s),
                ("waits", self._waits_s),
                ("settle", self._settle_s),
            ),
            history=self.history,
            excused=excused,
            story=tuple(self.simulation.story()) if self.simulation else (),
        )

    def current_step(self) -> int | None:
        """Return the index of the step being performed, or of the last pinned one if that is later.

        A failure needs every step up to there. None while the loop recovers.
        """
        if self._index is None or self.armed_steps.latest is None:
            return self._index
        return max(self._index, self.armed_steps.latest)

    def act(self) -> None:
        """Perform every step in order."""
        self.arm(0)
        for index, step in enumerate(self.schedule.steps):
            self._index = index
            if step.at is None:
                self.arm(index + 1)
            self.perform_step(step, index, ask_health=self.health_may_differ(step))
        self._index = None

    def recover(self) -> None:
        """Recover as every loop does, and measure the time."""
        began = time.monotonic()
        try:
            super().recover()
        finally:
            self._settle_s = time.monotonic() - began

    def observe(
        self, *, ask_health: bool = False, count_sessions: bool = False, step_done: bool = False
    ) -> None:
        """Raise an error of the thread that performs pinned steps, if any; then observe."""
        self.armed_steps.check()
        super().observe(ask_health=ask_health, count_sessions=count_sessions, step_done=step_done)

    def health_may_differ(self, step: Step) -> bool:
        """Say whether health may change with a step: a fault, a healing, or during an outage."""
        down = (FaultKind.DATABASE_DOWN, FaultKind.SERVER_DOWN)
        touched = step.kind.role in {Role.FAULT, Role.HEAL}
        return touched or any(map(self.history.fault_in_force, down))

    def arm(self, index: int) -> None:
        """Arm the steps from `index` on, up to the first one without a moment."""
        for later in range(index, len(self.schedule.steps)):
            step = self.schedule.steps[later]
            if step.at is None:
                return
            self.armed_steps.arm(later, step)

    def dispatch(self, step: Step) -> Performed:
        """Perform a step now or, if it has a moment, wait until it was performed there."""
        began = time.monotonic()
        try:
            return super().dispatch(step) if step.at is None else self.wait_moment()
        finally:
            if step.kind.role is Role.WAIT:
                self._waits_s += time.monotonic() - began
            else:
                self._steps_s += time.monotonic() - began

    def wait_moment(self) -> Performed:
        """Wait by progress until the current step was performed at its moment.

        Return its outcome, or NOT_COME if the moment did not come in time.
        """
        assert self._index is not None
        armed = self.armed_steps.armed[self._index]
        self.wait_by_progress(lambda: armed.performed is not None, self.contract.patience_ms)
        return armed.performed or NOT_COME

    def heal(self) -> None:
        """Disarm the steps whose moments have not come, then undo every fault."""
        self.armed_steps.disarm()
        super().heal()

    def settle(self) -> None:
        """Wait by progress until every task is in a terminal state, or nothing moves any more.

        The bounds allow for scheduled times, the longest task and the work of all retries.
        """
        now_ns = self.clock.now_ns()
        due_ms = longest_ms = work_ms = 0.0
        for creation in self.history.creations:
            request = creation.request
            due_ms = max(due_ms, (creation.sent_ns - now_ns) / 1e6 + request.delay_ms)
            longest_ms = max(longest_ms, request.duration_ms)
            work_ms += effort_ms(request, self.contract)
        quiet_ms = self.contract.recovery_ms + due_ms + longest_ms
        self.wait_by_progress(lambda: all_terminal(self.history), quiet_ms, work_ms)
