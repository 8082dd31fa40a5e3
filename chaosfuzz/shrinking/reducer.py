"""Reduction under flakiness: a sweep of deletions with cumulative evidence.

Chunked deletion follows Zeller and Hildebrandt's delta debugging, greedy and without restarts;
acceptance at the first failure and rejection by likelihood follow Wald's sequential test.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from chaosfuzz.domain.case import Needed, Rate
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure, Signature, Verdict
from chaosfuzz.shrinking.candidates import fewer_workers, simpler_arguments, without
from chaosfuzz.shrinking.evidence import Evidence, passes_needed

CALIBRATION_FAILURES = 3
CALIBRATION_ATTEMPTS = 40
CONFIRMATION_ATTEMPTS = 20
# A rate known only from a few failures may be lower than it looks.
CAUTION = 0.7
CERTAIN_RATE = 0.9
BETAS = (0.2, 0.02)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What reduction, confirmation included, may cost."""

    executions: int = 300
    time_s: float = 300.0


@dataclass(frozen=True, kw_only=True)
class ShrinkProgress:
    """How far reduction is."""

    executions: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """The smallest schedule known to fail this way, and how often it does."""

    schedule: Schedule
    failure: Failure
    rate: Rate
    calibration: Rate
    needed: tuple[Needed, ...]
    executions: int
    confirmations: int
    exhausted: bool
    others: tuple[tuple[Signature, Schedule], ...] = ()


class _BudgetSpentError(Exception):
    """Ends reduction with the best schedule so far."""


class Reducer:
    """Shrinks one failure; use once."""

    def __init__(
        self,
        runner: Callable[[Schedule], RunResult],
        budget: Budget,
        on_progress: Callable[[ShrinkProgress], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner = runner
        self._budget = budget
        self._tell = on_progress or (lambda _progress: None)
        self._clock = clock
        self._began = clock()
        self._spent = 0
        self._others: dict[Signature, Schedule] = {}

    def shrink(self, schedule: Schedule, failure: Failure) -> Shrunk:
        """Return the smallest schedule found within the budget, confirmed as far as it allows."""
        at_step = failure.step is not None
        self._failure = failure
        self._best = schedule.prefix(failure.step + 1) if failure.step is not None else schedule
        self._fallback = self._best
        self._evidence = Evidence(shared_with_prefixes=at_step)
        calibration = rate = Rate(violations=0, attempts=0)
        needed: tuple[Needed, ...] = ()
        exhausted = False
        reduction = 0
        try:
            calibration = rate = self._measure(CALIBRATION_ATTEMPTS, CALIBRATION_FAILURES)
            if calibration.violations:
                self._reduce(_cautious(calibration))
                reduction = self._spent
                rate = self._confirm()
                needed = self._find_needed(rate)
        except (_BudgetSpentError, KeyboardInterrupt):
            exhausted = True
        return Shrunk(
            schedule=self._best,
            failure=self._failure,
            rate=rate,
            calibration=calibration,
            needed=needed,
            executions=reduction or self._spent,
            confirmations=self._spent - (reduction or self._spent),
            exhausted=exhausted,
            others=tuple(self._others.items()),
        )

    def _reduce(self, rate: float) -> None:
        for beta in BETAS:
            self._need = passes_needed(rate, beta)
            self._sweep()
            if rate >= CERTAIN_RATE:
                return

    def _sweep(self) -> None:
        size = max(1, len(self._best.steps) // 2)
        while True:
            changed = self._delete_chunks(size)
            if size > 1:
                size //= 2
                continue
            for candidate in tuple(fewer_workers(self._best)):
                changed |= self._try(candidate)
            changed |= self._simplify()
            if not changed:
                return

    def _delete_chunks(self, size: int) -> bool:
        changed = False
        end = len(self._best.steps)
        while end > 0:
            start = max(0, end - size)
            candidate = without(self._best, start, end)
            changed |= self._try(candidate)
            end = min(start, len(self._best.steps))
        return changed

    def _simplify(self) -> bool:
        changed = False
        index = 0
        while index < len(self._best.steps):
            for candidate in simpler_arguments(self._best, index):
                if self._try(candidate):
                    changed = True
                    break
            else:
                index += 1
        return changed

    def _try(self, candidate: Schedule) -> bool:
        """Run a candidate until it fails, or has passed too often to be believed."""
        if candidate == self._best or not candidate.steps:
            return False
        undecided = 0
        while self._evidence.passes(candidate) < self._need and undecided <= 2:
            result = self._run(candidate)
            if self._shows(result):
                self._accept(candidate, result)
                return True
            if result.verdict is Verdict.UNKNOWN:
                undecided += 1
            else:
                self._evidence.add_pass(candidate)
        return False

    def _accept(self, candidate: Schedule, result: RunResult) -> None:
        assert result.failure is not None
        step = result.failure.step
        self._best = candidate if step is None else candidate.prefix(step + 1)
        self._failure = result.failure
        self._tell(ShrinkProgress(executions=self._spent, steps=len(self._best.steps)))

    def _shows(self, result: RunResult) -> bool:
        if result.failure is None:
            return False
        if result.failure.signature == self._failure.signature:
            return True
        self._others.setdefault(result.failure.signature, result.schedule)
        return False

    def _run(self, schedule: Schedule) -> RunResult:
        over = self._clock() - self._began > self._budget.time_s
        if over or self._spent >= self._budget.executions:
            raise _BudgetSpentError
        self._spent += 1
        self._tell(ShrinkProgress(executions=self._spent, steps=len(self._best.steps)))
        return self._runner(schedule)

    def _measure(self, attempts: int, enough: int, schedule: Schedule | None = None) -> Rate:
        """Run a schedule until it failed often enough; a first failure each time is certain."""
        violations = tries = 0
        while tries < attempts and violations < enough:
            result = self._run(schedule or self._best)
            tries += 1
            violations += self._shows(result)
        return Rate(violations=violations, attempts=tries)

    def _confirm(self) -> Rate:
        """Measure the result again; fall back to what was found if it never shows again."""
        rate = self._measure(CONFIRMATION_ATTEMPTS, 10)
        if rate.violations == 0:
            self._best = self._fallback
            return self._measure(CONFIRMATION_ATTEMPTS, 10)
        return rate

    def _find_needed(self, rate: Rate) -> tuple[Needed, ...]:
        """Remove each step alone; one without which it still fails goes for good."""
        attempts = passes_needed(_cautious(rate), BETAS[1])
        needed: list[Needed] = []
        index = 0
        while index < len(self._best.steps):
            candidate = without(self._best, index, index + 1)
            seen = Rate(violations=0, attempts=0)
            if candidate.steps:
                seen = self._measure(min(attempts, 20), 1, candidate)
            if seen.violations:
                self._best = candidate
                needed.clear()
                index = 0
                continue
            needed.append(Needed(step=index + 1, rate=seen))
            index += 1
        return tuple(needed)


def _cautious(rate: Rate) -> float:
    share = rate.violations / max(1, rate.attempts)
    return CERTAIN_RATE if share >= 1 else CAUTION * share
