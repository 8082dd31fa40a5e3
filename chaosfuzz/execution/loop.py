"""The one run loop. Every driver performs, observes, waits, heals and checks with it."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from chaosfuzz.actions import ActionContext, heal_all, perform
from chaosfuzz.actions.work import ask_for_dead_letters, create
from chaosfuzz.domain.fault import Journal, Judge, Judgement, Performed
from chaosfuzz.domain.history import Health, History, StepRecord
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.progress import all_terminal
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.simulation import Clock, Simulated
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import System, TaskService
from chaosfuzz.domain.task import TaskRequest
from chaosfuzz.domain.verdict import Failure
from chaosfuzz.domain.view import View
from chaosfuzz.execution.observer import Observer, ViolationSeenError
from chaosfuzz.execution.stalls import Stalls

# An observation reads a database: 8 ms apart they leave it mostly idle (chosen by hand).
POLL_S = 0.008
# A wait by progress ends after this many times its quiet time, however much still moves
# (chosen by hand).
SETTLE_FACTOR = 4
_CANARY = "canary-"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that a driver shares between runs.

    `stalls` is None for runs whose findings do not depend on the speed of the machine. Another
    thread sets `stop` to end the run.
    """

    judge: Judge
    journal: Journal
    stalls: Stalls | None
    stop: StopSignal


class WallClock:
    """Real time (implements Clock)."""

    def __init__(self, stop: StopSignal) -> None:
        self._stop = stop

    def now_ns(self) -> int:
        """Return the monotonic time in nanoseconds."""
        return time.monotonic_ns()

    def pause(self, at_most_ns: int) -> None:
        """Sleep for POLL_S, at most for `at_most_ns`; return at once when `stop` is set."""
        self._stop.wait(min(POLL_S, at_most_ns / 1e9))


class Loop(ABC):
    """One run of one system. A driver subclasses it, defines `settle`, and calls `run`.

    Every method that performs, waits or observes raises Stopped when the stop signal is set, and
    ViolationSeenError when an invariant is violated; `run` catches the latter.
    """

    def __init__(
        self, system: System, parts: Parts, workers: int, *, judging_share: float = 1.0
    ) -> None:
        """Prepare a run.

        Args:
            system: a fresh system; its opener closes it.
            parts: the judge, the journal, the stall monitor and the stop signal.
            workers: the number of workers that healing restores; at least 1 is restored.
            judging_share: see Observer.

        """
        self.system = system
        self.parts = parts
        self.contract = system.contract
        self.simulation = system if isinstance(system, Simulated) else None
        self.clock: Clock = self.simulation.clock if self.simulation else WallClock(parts.stop)
        self.history = History(began_ns=self.clock.now_ns())
        self.context = ActionContext(
            system=system,
            history=self.history,
            watch=self.watch,
            now_ns=self.clock.now_ns,
            healthy_workers=max(1, workers),
        )
        stalls = None if self.simulation else parts.stalls
        self.observer = Observer(
            system, self.history, self._judge, stalls, self.clock, judging_share
        )

    @abstractmethod
    def settle(self) -> None:
        """Wait, after healing, until the work is done or nothing moves any more."""

    def current_step(self) -> int | None:
        """Return the index of the step that a failure seen now belongs to; None if there is none.

        Drivers without numbered steps leave it at None.
        """
        return None

    def run(self, act: Callable[[], None]) -> tuple[Failure, ...]:
        """Observe, call `act`, then `recover`.

        `act` performs the driver's own work: the steps of a schedule, the phases of a scenario.
        Return the failures of the first check that found any, () if every check held; the run ends
        at the first violation.
        """
        try:
            self.observe(ask_health=True)
            act()
            self.recover()
        except ViolationSeenError as seen:
            return seen.failures
        return ()

    def recover(self) -> None:
        """Heal every fault, settle, wait for health, try one new task, and do the final check."""
        self.heal()
        self.settle()
        deadline_ns = self.clock.now_ns() + self.contract.health_ms * 10**6
        self.wait_until_well(deadline_ns)
        self.try_canary(deadline_ns)
        ask_for_dead_letters(self.system, self.history)
        self.observe(ask_health=True, count_sessions=True)
        self.observer.check(final=True)

    def observe(
        self, *, ask_health: bool = False, count_sessions: bool = False, step_done: bool = False
    ) -> None:
        """Observe and judge once; see Observer.observe."""
        self.observer.observe(
            ask_health=ask_health, count_sessions=count_sessions, step_done=step_done
        )

    def tick(self, at_most_ns: int = 10**9) -> None:
        """Pause once, for `at_most_ns` at most, then observe."""
        self.clock.pause(at_most_ns)
        self.parts.stop.check()
        self.observe(ask_health=self.health_is_due())

    def health_is_due(self) -> bool:
        """Say whether waiting should ask for health now; by default it never does."""
        return False

    def wait_until(
        self,
        until: Callable[[], bool],
        *,
        at_most_ms: float | None = None,
        quiet_ms: Callable[[], float] | None = None,
    ) -> bool:
        """Observe until a condition holds. Return False if a bound was reached first.

        Args:
            until: the condition.
            at_most_ms: the longest wait; None for no bound.
            quiet_ms: returns the longest wait without progress; None for no bound.

        """
        began_ns = self.clock.now_ns()
        while not until():
            ends_ns = [began_ns + round(at_most_ms * 1e6)] if at_most_ms is not None else []
            if quiet_ms is not None:
                moved_ns = max(began_ns, self.observer.moved_ns)
                ends_ns.append(moved_ns + round(quiet_ms() * 1e6))
            left_ns = min(ends_ns, default=began_ns + 10**18) - self.clock.now_ns()
            if left_ns <= 0:
                return False
            self.tick(left_ns)
        return True

    def wait_by_progress(
        self, until: Callable[[], bool], quiet_ms: float, work_ms: float = 0.0
    ) -> bool:
        """Observe until a condition holds. Return False if nothing moved for `quiet_ms`.

        The whole wait lasts 4 * `quiet_ms` + `work_ms` at most; `work_ms` is the time that the
        unfinished work may take.
        """
        bound_ms = SETTLE_FACTOR * quiet_ms + work_ms
        return self.wait_until(until, quiet_ms=lambda: quiet_ms, at_most_ms=bound_ms)

    def watch(self, until: Callable[[], bool], quiet_ms: float, *, progress: bool = False) -> bool:
        """Wait for an action (implements chaosfuzz.actions.context.Watch).

        Return False if the condition did not hold within `quiet_ms` or, with `progress`, by
        `wait_by_progress`.
        """
        if progress:
            return self.wait_by_progress(until, quiet_ms)
        return self.wait_until(until, at_most_ms=quiet_ms)

    def perform_step(self, step: Step, index: int, *, ask_health: bool) -> Performed:
        """Perform one step: journal it first, then record its outcome, observe and judge.

        The observation includes the health if `ask_health`. Return what was performed. Raises
        Stopped before anything is done if the run is to stop, and ViolationSeenError after the
        record if a promise is broken.
        """
        self.parts.stop.check()
        self.parts.journal.write("step", index=index, step=str(step))
        if self.simulation is not None:
            self.simulation.announce(step)
        began_ns = self.clock.now_ns()
        performed = self.dispatch(step)
        self.history.add(
            StepRecord(
                index=index,
                step=step,
                began_ns=began_ns,
                ended_ns=self.clock.now_ns(),
                outcome=performed.outcome,
                applied=performed.applied,
                detail=performed.detail,
            )
        )
        self.observe(ask_health=ask_health, step_done=True)
        return performed

    def dispatch(self, step: Step) -> Performed:
        """Perform a step now. A driver may override it to perform steps in another way."""
        return perform(step, self.context)

    def create_task(self, request: TaskRequest, service: TaskService) -> Outcome:
        """Ask a service for one task, record the creation in the history, return its outcome."""
        return create(request, service, self.history, lose=False)

    def heal(self) -> None:
        """Undo every fault, and record the time as `healed_ns`."""
        self.parts.journal.write("heal")
        if self.simulation is not None:
            self.simulation.announce(None)
        heal_all(self.context)
        self.history.healed_ns = self.clock.now_ns()

    def wait_until_well(self, deadline_ns: int) -> None:
        """Observe with health until the system is well or has no health, or until the deadline.

        Nothing is observed if the deadline has passed already.
        """
        while self.clock.now_ns() < deadline_ns:
            self.clock.pause(deadline_ns - self.clock.now_ns())
            self.parts.stop.check()
            self.observe(ask_health=True)
            if self.history.observations[-1].health in {Health.WELL, Health.UNASKED}:
                return

    def try_canary(self, deadline_ns: int) -> None:
        """Create one more task, the canary, and wait for it by progress.

        A refused creation is repeated until the deadline. Nothing is done if the system takes no
        tasks or has unfinished work.
        """
        if not (isinstance(self.system, TaskService) and all_terminal(self.history)):
            return
        while self._create_canary(self.system) is not Outcome.OK:
            if self.clock.now_ns() >= deadline_ns:
                break
            self.wait_until_well(deadline_ns)
        self.wait_by_progress(lambda: all_terminal(self.history), self.contract.recovery_ms)

    def _create_canary(self, service: TaskService) -> Outcome:
        request = TaskRequest(
            number=len(self.history.creations) + 1,
            token=f"{_CANARY}{time.monotonic_ns()}",
            max_attempts=self.contract.max_attempts,
        )
        return self.create_task(request, service)

    def _judge(self, view: View) -> Judgement:
        step = self.current_step()
        if self.simulation is not None:
            return self.simulation.judge_itself(step, final=view.final)
        return self.parts.judge.judge(view, step)


def is_canary(request: TaskRequest) -> bool:
    """Say whether a task is a canary: one that the loop itself creates after healing."""
    return request.token.startswith(_CANARY)
