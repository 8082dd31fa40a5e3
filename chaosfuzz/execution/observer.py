"""Records observations of a system in the history of its run, and has the history judged."""

import time
from collections.abc import Callable

from chaosfuzz.domain.abilities import Starvable
from chaosfuzz.domain.fault import Judgement
from chaosfuzz.domain.history import History, Observation
from chaosfuzz.domain.progress import abstract_state, progress_mark
from chaosfuzz.domain.simulation import Clock
from chaosfuzz.domain.target import System
from chaosfuzz.domain.verdict import Failure, Signature
from chaosfuzz.domain.view import View
from chaosfuzz.execution.stalls import Stalls


class ViolationSeenError(Exception):
    """Ends the run at the first check that finds violated invariants; holds their `failures`."""

    def __init__(self, failures: tuple[Failure, ...]) -> None:
        super().__init__(failures[0].message)
        self.failures = failures


class Observer:
    """Observes one run; every driver uses it.

    `undecided` has each reason for an undecided judgement, once. `limits` has the first failure
    of each documented limit that the run showed. `states_seen` has the abstract states. `moved_ns`
    is the time of the last observation that showed progress.
    """

    def __init__(
        self,
        system: System,
        history: History,
        judge: Callable[[View], Judgement],
        stalls: Stalls | None,
        clock: Clock,
        judging_share: float = 1.0,
    ) -> None:
        """Observe `system` into `history`.

        Args:
            system: the system of this run.
            history: the record of this run, empty except for `began_ns`.
            judge: checks the invariants on a view of the history.
            stalls: records when the machine stood still; None in logical time.
            clock: the time of the run.
            judging_share: the share of the run's time, 0 to 1, that judging may take. Beyond it,
                observations in which only tasks and executions changed are not judged.

        """
        self._system = system
        self._history = history
        self._judge = judge
        self._stalls = stalls
        self._clock = clock
        self._judging_share = judging_share
        self._judging_s = 0.0
        self._began_s = time.monotonic()
        self._mark: object = None
        self.moved_ns = clock.now_ns()
        self.undecided: dict[str, None] = {}
        self.limits: dict[Signature, Failure] = {}
        self.states_seen: set[str] = set()

    def observe(
        self, *, ask_health: bool = False, count_sessions: bool = False, step_done: bool = False
    ) -> None:
        """Observe once, and record the executions and exits.

        The observation is recorded and judged if something changed since the last one, a step was
        done or health was asked for. It is recorded but not judged if only tasks and executions
        changed and judging has used up its share of the time. Raises ViolationSeenError if the
        judge finds a broken promise.
        """
        before = self._history.observations[-1] if self._history.observations else None
        seen = self._system.observe(ask_health=ask_health, count_sessions=count_sessions)
        # A worker writes the end of a run to the ledger before it acknowledges the task. The queue
        # is read first, so a task that is completed there has its end in the ledger.
        executions = tuple(self._system.executions())
        shifted = self._record_exits() or _shifted(before, seen)
        worked = (
            before is None or seen.tasks != before.tasks or executions != self._history.executions
        )
        self._history.executions = executions
        if not (ask_health or step_done or shifted or worked):
            return
        self._history.add(seen)
        if shifted or worked:
            self._note_progress()
        self.states_seen.add(abstract_state(self._history))
        if ask_health or step_done or shifted or self._has_time_to_judge():
            self.check(final=False)

    def check(self, *, final: bool) -> None:
        """Judge the history so far; note undecided reasons and documented limits.

        `final` says that every fault is healed and the system had time to finish its work. Raises
        ViolationSeenError on a violation.
        """
        began_s = time.monotonic()
        if self._stalls is not None:
            starved = self._system.starved() if isinstance(self._system, Starvable) else ()
            self._history.stalls = [*self._stalls.since(self._history.began_ns), *starved]
            self._history.lateness = self._stalls.lateness_since(self._history.began_ns)
        view = View(self._history, self._system.contract, final, self._clock.now_ns())
        judgement = self._judge(view)
        self.undecided.update(dict.fromkeys(judgement.undecided))
        for limit in judgement.limits:
            self.limits.setdefault(limit.signature, limit)
        self._judging_s += time.monotonic() - began_s
        if judgement.failures:
            raise ViolationSeenError(judgement.failures)

    def _has_time_to_judge(self) -> bool:
        return self._judging_s <= self._judging_share * (time.monotonic() - self._began_s)

    def _record_exits(self) -> bool:
        """Record the processes that ended since the last call; say whether there were any."""
        ended = self._system.exits()
        for gone in ended:
            self._history.add(gone.known_by(self._clock.now_ns()))
        return bool(ended)

    def _note_progress(self) -> None:
        mark = progress_mark(self._history)
        if mark != self._mark:
            self._mark, self.moved_ns = mark, self._clock.now_ns()


def _shifted(before: Observation | None, seen: Observation) -> bool:
    """Say whether breakers or the running components changed; True for the first observation."""
    return (
        before is None
        or seen.breakers != before.breakers
        or seen.components_up != before.components_up
    )
