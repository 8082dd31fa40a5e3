"""Reduction under flakiness: two sweeps of deletions with cumulative evidence.

Chunked deletion follows Zeller and Hildebrandt's delta debugging ("Simplifying and Isolating
Failure-Inducing Input", 2002), greedy and without restarts; acceptance at the first failure and
rejection by likelihood follow Wald's sequential probability ratio test (1945).
"""

import time
from collections.abc import Callable

from chaosfuzz.domain.case import Needed, Rate
from chaosfuzz.domain.moment import Alphabet
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.stop import Stopped
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure
from chaosfuzz.shrinking.candidates import without
from chaosfuzz.shrinking.evidence import AssumedRate, passes_needed, share
from chaosfuzz.shrinking.result import Budget, ShrinkProgress, Shrunk
from chaosfuzz.shrinking.sweeps import Sweeps
from chaosfuzz.shrinking.trials import BudgetSpentError, Trials

# Chosen by hand, as all figures here whose comment says nothing else.
CALIBRATION_FAILURES = 3
CALIBRATION_ATTEMPTS = 40
CONFIRMATION_FAILURES = 10
CONFIRMATION_ATTEMPTS = 20
# Bounds on how often a result that does not fail again is run before it is rejected.
LEAST_PATIENCE, MOST_PATIENCE = 10, 60
# The last sweep is repeated if a rejection needs so many times the passes that the sweep used.
MISJUDGED = 1.5
# Greatest probabilities of rejecting a candidate that does fail: in the first sweep, in the last
# one, and for the result.
FIRST_BETA = 0.2
LAST_BETA = 0.02
RESULT_BETA = 0.005
MAX_ROUNDS = 4
# A schedule is steady if at least this share of its runs fails. The rate has collapsed if it falls
# by one of these factors: the smaller one for schedules that were steady, since low rates are
# measured too coarsely for it.
STEADY_SHARE = 0.8
COLLAPSE_OF_STEADY, COLLAPSE = 1.6, 4
MAX_STEADYINGS = 2
NOTHING_SEEN = Rate(violations=0, attempts=0)


class Reducer:
    """Shrinks one failure. An instance serves once.

    `clock` returns seconds. Faults are pinned to events of the `alphabet`.
    """

    def __init__(
        self,
        runner: Callable[[Schedule], RunResult],
        budget: Budget,
        on_progress: Callable[[ShrinkProgress], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        alphabet: Alphabet | None = None,
    ) -> None:
        self._runner = runner
        self._budget = budget
        self._report = on_progress or (lambda _progress: None)
        self._clock = clock
        self._alphabet = alphabet or Alphabet()

    def shrink(self, schedule: Schedule, failure: Failure) -> Shrunk:
        """Return the smallest schedule found within the budget, confirmed as far as it allows.

        Stopped ends reduction as a spent budget does; other exceptions of the runner pass through.
        A failure that never shows again is returned with the rate 0 of n.
        """
        self._trials = Trials(
            self._runner, self._budget, self._clock, failure=failure, on_run=self._report_progress
        )
        self._sweeps = Sweeps(self._trials, schedule, failure)
        self._assumed = AssumedRate()
        self._confirmations = 0
        self._steadyings = 0
        self._has_pinned = False
        self._measuring = False
        self._calibration = rate = NOTHING_SEEN
        needed: tuple[Needed, ...] = ()
        exhausted = False
        try:
            rate, needed = self._reduce()
        except (BudgetSpentError, Stopped) as stopped:
            exhausted = True
            if isinstance(stopped, BudgetSpentError):
                needed = self._measure_what_is_left()
            rate = self._trials.evidence.rate(self._sweeps.best)
        return Shrunk(
            schedule=self._sweeps.best,
            failure=self._sweeps.failure,
            rate=rate,
            calibration=self._calibration,
            needed=needed,
            executions=self._trials.spent - self._confirmations,
            confirmations=self._confirmations,
            exhausted=exhausted,
            others=tuple(self._trials.others.items()),
        )

    def _reduce(self) -> tuple[Rate, tuple[Needed, ...]]:
        """Calibrate, reduce, confirm; again from the last sweep if the result was misjudged."""
        self._calibration = self._measure(CALIBRATION_FAILURES, CALIBRATION_ATTEMPTS)
        if not self._calibration.violations:
            return self._calibration, ()
        self._sweeps.need = passes_needed(self._assumed.value, FIRST_BETA)
        self._sweeps.reliable = share(self._calibration) >= STEADY_SHARE
        self._sweeps.first()
        rounds = 0
        while True:
            rounds += 1
            self._measuring = False
            self._steadied(self._measure(CALIBRATION_FAILURES, CALIBRATION_ATTEMPTS))
            self._sweeps.need = passes_needed(self._assumed.value, LAST_BETA)
            self._sweeps.last()
            before = self._trials.spent
            self._trials.release_reserve()
            self._measuring = True
            try:
                rate = self._measure(self._enough(), CONFIRMATION_ATTEMPTS)
                if not rate.violations:
                    return rate, ()
                swept_with = self._sweeps.need
                self._sweeps.need = passes_needed(self._assumed.value, LAST_BETA)
                if self._steadied(rate) or self._steadied_in_vain(rate) or self._pinned(rate):
                    continue
                if rounds < MAX_ROUNDS and self._sweeps.need > MISJUDGED * swept_with:
                    continue
                needed = self._find_needed()
            finally:
                self._confirmations += self._trials.spent - before
            if needed is not None:
                return rate, needed

    def _steadied(self, rate: Rate) -> bool:
        """Go back to an earlier, steadier schedule if the rate fell; return whether it did.

        The rate fell if a schedule that was steady no longer is, or if it collapsed. Fewer steps go
        before a higher rate, and that before plain arguments: only after a collapse may the earlier
        schedule have more steps.
        """
        before = share(self._calibration)
        if self._steadyings == MAX_STEADYINGS:
            return False
        steady = before >= STEADY_SHARE
        collapsed = (COLLAPSE_OF_STEADY if steady else COLLAPSE) * share(rate) <= before
        shaken = steady and share(rate) < STEADY_SHARE
        if not collapsed and not shaken:
            return False
        self._steadyings += 1
        return self._sweeps.steady(before, longer=collapsed)

    def _steadied_in_vain(self, rate: Rate) -> bool:
        """Return to the schedule before `_steadied` if that did not raise the rate either."""
        wanted = STEADY_SHARE * share(self._calibration)
        if share(rate) >= wanted or not self._sweeps.give_up_steadiness():
            return False
        self._steadyings = MAX_STEADYINGS
        return True

    def _pinned(self, rate: Rate) -> bool:
        """Pin a fault of an unsteady schedule to a moment at which it fails steadily; once only."""
        if share(rate) >= STEADY_SHARE or self._has_pinned:
            return False
        self._has_pinned = True
        return self._sweeps.pin(self._alphabet)

    def _measure(self, enough: int, attempts: int) -> Rate:
        """Measure the best schedule; while it never fails, go back to earlier ones."""
        while True:
            patience = CALIBRATION_ATTEMPTS
            if self._assumed.runs:
                unlikely = passes_needed(self._assumed.value, RESULT_BETA)
                patience = max(LEAST_PATIENCE, min(MOST_PATIENCE, unlikely))
            rate, decided = self._trials.measure(
                self._sweeps.best, enough=enough, attempts=attempts, patience=patience
            )
            if rate.violations:
                self._assumed.learn(decided)
            if rate.violations or not self._sweeps.step_back():
                return rate

    def _enough(self) -> int:
        """Return how many failures confirm the best schedule.

        Slow runs need fewer, so that time is left for runs without each of the steps.
        """
        without_a_step = len(self._sweeps.best.steps) * self._sweeps.need
        affordable = min(self._trials.affordable - without_a_step, CONFIRMATION_FAILURES)
        return max(CALIBRATION_FAILURES, int(affordable))

    def _report_progress(self) -> None:
        self._report(
            ShrinkProgress(
                executions=self._trials.spent,
                steps=len(self._sweeps.best.steps),
                taken_s=self._trials.taken_s,
                measuring=self._measuring,
            )
        )

    def _find_needed(self) -> tuple[Needed, ...] | None:
        """Measure the failure without each step; None if it shows, which removes the step."""
        needed: list[Needed] = []
        for index in range(len(self._sweeps.best.steps)):
            candidate = without(self._sweeps.best, index, index + 1)
            if self._sweeps.attempt(candidate):
                return None
            if not candidate.steps:
                runs = self._sweeps.need
                self._trials.measure(candidate, enough=1, attempts=runs, patience=runs)
            seen = self._trials.evidence.rate(candidate)
            needed.append(Needed(step=index + 1, rate=seen))
        return tuple(needed)

    def _measure_what_is_left(self) -> tuple[Needed, ...]:
        """Spend the reserve on the rate of the best schedule, then on runs without each step."""
        before = self._trials.spent
        self._measuring = True
        self._trials.release_reserve()
        needed: tuple[Needed, ...] | None = None
        try:
            while needed is None:
                rate, _ = self._trials.measure(
                    self._sweeps.best,
                    enough=self._enough(),
                    attempts=CONFIRMATION_ATTEMPTS,
                    patience=CONFIRMATION_ATTEMPTS,
                )
                needed = self._find_needed() if rate.violations else ()
        except (BudgetSpentError, Stopped):
            pass
        finally:
            self._confirmations += self._trials.spent - before
        return needed or ()
