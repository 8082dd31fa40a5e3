"""Runs of schedules within the budget, and what they show of one failure."""

import math
from collections.abc import Callable
from enum import Enum, auto

from chaosfuzz.domain.action import Role
from chaosfuzz.domain.case import Rate
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure, Signature, Verdict
from chaosfuzz.shrinking.evidence import Evidence
from chaosfuzz.shrinking.result import Budget

# See Budget. Chosen by hand.
RESERVE_EXECUTIONS = 20
RESERVE_SHARE = 0.2
MOST_RESERVE_SHARE = 0.5


class BudgetSpentError(Exception):
    """Ends reduction with the best schedule so far."""


class Seen(Enum):
    """What one run shows of the failure that is being reduced."""

    FAILED = auto()
    PASSED = auto()
    # Another failure showed, or the run could not be decided.
    UNDECIDED = auto()


class Trials:
    """Runs schedules for one failure, counts executions, and keeps the evidence.

    `clock` returns seconds. `on_run` is called before each run. Exceptions of the runner pass
    through.
    """

    def __init__(
        self,
        runner: Callable[[Schedule], RunResult],
        budget: Budget,
        clock: Callable[[], float],
        *,
        failure: Failure,
        on_run: Callable[[], None] = lambda: None,
    ) -> None:
        self.spent = 0
        self.failure = failure
        self.evidence = Evidence(shared_with_prefixes=failure.step is not None)
        self.others: dict[Signature, Schedule] = {}
        self._runner = runner
        self._on_run = on_run
        self._clock = clock
        self._began = clock()
        self._budget = budget
        reserve = min(RESERVE_EXECUTIONS, int(budget.executions * RESERVE_SHARE))
        self._executions = budget.executions - reserve
        self._reserve = reserve
        self._is_released = False

    def release_reserve(self) -> None:
        """Allow the executions and the time of the reserve from now on."""
        self._executions = self._budget.executions
        self._is_released = True

    @property
    def taken_s(self) -> float:
        """The time spent so far, in seconds."""
        return self._clock() - self._began

    @property
    def affordable(self) -> float:
        """How many more runs there is time for, if each takes the mean time of those so far."""
        taken_s = self.taken_s
        left_s = self._budget.time_s - taken_s
        return left_s * self.spent / taken_s if taken_s > 0 else math.inf

    def _is_over(self) -> bool:
        """Say whether the time is up, without the reserve until it is released."""
        taken_s = self.taken_s
        if self._is_released:
            return taken_s > self._budget.time_s
        run_s = taken_s / self.spent if self.spent else 0.0
        share = self._reserve * run_s / self._budget.time_s if self._budget.time_s else 0.0
        reserved = min(max(share, RESERVE_SHARE), MOST_RESERVE_SHARE)
        return taken_s > self._budget.time_s * (1 - reserved)

    def run(self, schedule: Schedule) -> tuple[Seen, RunResult]:
        """Run a schedule once, and keep the evidence.

        Raises BudgetSpentError, and does not run, if the budget is spent.
        """
        if self._is_over() or self.spent >= self._executions:
            raise BudgetSpentError
        self.spent += 1
        self._on_run()
        result = self._runner(schedule).showing(self.failure.signature)
        if result.failure is not None and result.failure.signature == self.failure.signature:
            self.evidence.add_failure(schedule)
            return Seen.FAILED, result
        if result.failure is not None:
            self.others.setdefault(result.failure.signature, schedule)
            return Seen.UNDECIDED, result
        # A run whose moment never came is no pass, if there was work that may bring the moment.
        if result.verdict is Verdict.UNKNOWN or (result.missed and _has_work(schedule)):
            return Seen.UNDECIDED, result
        self.evidence.add_pass(schedule)
        return Seen.PASSED, result

    def measure(
        self, schedule: Schedule, *, enough: int, attempts: int, patience: int
    ) -> tuple[Rate, Rate]:
        """Run until `enough` failures; return the rate over all runs, and over the decided ones.

        There are `attempts` runs at most, or `patience` runs while there is no failure.
        """
        failures = tries = decided = 0
        while failures < enough and tries < (attempts if failures else patience):
            seen, _ = self.run(schedule)
            tries += 1
            failures += seen is Seen.FAILED
            decided += seen is not Seen.UNDECIDED
        over_all = Rate(violations=failures, attempts=tries)
        return over_all, Rate(violations=failures, attempts=decided)


def _has_work(schedule: Schedule) -> bool:
    return any(step.kind.role is Role.LOAD for step in schedule.steps)
