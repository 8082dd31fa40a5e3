"""Sweeps over the candidates, in order, that keep every smaller schedule that fails."""

from collections.abc import Iterable

from chaosfuzz.domain.moment import Alphabet
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure
from chaosfuzz.shrinking.candidates import (
    earlier,
    fewer_workers,
    least,
    pinnings,
    plainer_steps,
    quick,
    simpler,
    unpinned,
    without,
)
from chaosfuzz.shrinking.trials import Seen, Trials

# A candidate is rejected after so many undecided runs. Chosen by hand, as are the next figures.
UNDECIDED_RUNS = 3
# A schedule is taken as steady after so many failures with no more passes than its rate allows.
STEADY_FAILURES = 4
# If the schedule fails nearly always, a candidate with other arguments is accepted after so many
# failures: an argument that narrows the window of a race costs more runs later than it saves.
ARGUMENT_FAILURES = 2


class Sweeps:
    """Holds the smallest schedule known to fail, and makes it smaller.

    A candidate is accepted at its first failure and rejected after `need` passes. If `reliable`,
    candidates with other arguments are accepted at their second failure.
    """

    def __init__(self, trials: Trials, schedule: Schedule, failure: Failure) -> None:
        self.best = schedule if failure.step is None else schedule.prefix(failure.step + 1)
        self.failure = failure
        self.need = 1
        self.reliable = False
        self._trials = trials
        self._careful = False
        self._most_passes = 1
        self._unsteady = (self.best, failure)
        self._accepted = [(self.best, failure)]

    def first(self) -> None:
        """Shorten times, remove chunks of steps from large to small, then simplify arguments."""
        self._attempt_arguments((quick(self.best),))
        size = max(1, len(self.best.steps) // 2)
        while size:
            self._delete_chunks(size)
            size //= 2
        self._simplify()

    def last(self) -> None:
        """Try to simplify and to remove single steps until nothing changes."""
        while self._simplify() | self._delete_chunks(1):
            pass

    def attempt(self, candidate: Schedule, enough: int = 1) -> bool:
        """Run a candidate until it failed `enough` times or passed too often.

        Return True if it is accepted; it is the best schedule then.
        """
        if candidate == self.best or not candidate.steps:
            return False
        if self._careful:
            return self._attempt_steady(candidate)
        return self._run(candidate, enough, self.need - 1)

    def step_back(self) -> bool:
        """Go back to a schedule that was accepted before; return False if there is none.

        Half of the accepted schedules are dropped at once, so that few calls lead to the first.
        """
        if len(self._accepted) == 1:
            return False
        del self._accepted[(len(self._accepted) + 1) // 2 :]
        self.best, self.failure = self._accepted[-1]
        return True

    def steady(self, share: float, *, longer: bool) -> bool:
        """Go back to an accepted schedule that fails in such a share of runs, and simplify that.

        It has the actions of the best one with other arguments or, with `longer`, more steps too.
        From then on, every candidate must fail as often. Return False, and change nothing, if no
        accepted schedule does.
        """
        actions = [step.action for step in self.best.steps]
        self._unsteady = (self.best, self.failure)
        self._most_passes = 1 + round(STEADY_FAILURES * (1 - share) / share)
        before = [
            known
            for known in reversed(self._accepted[:-1])
            if longer or [step.action for step in known[0].steps] == actions
        ]
        for schedule, its_failure in before:
            self.failure = its_failure
            if self._attempt_steady(schedule):
                self._careful = True
                while self._simplify() | (longer and self._delete_chunks(1)):
                    pass
                return True
        self.best, self.failure = self._unsteady
        return False

    def give_up_steadiness(self) -> bool:
        """Undo `steady`: return to the best schedule before it. Return False if it did nothing."""
        if not self._careful:
            return False
        self._careful = False
        self.best, self.failure = self._unsteady
        self._accepted.append(self._unsteady)
        return True

    def _attempt_steady(self, candidate: Schedule) -> bool:
        """Accept a candidate only if it fails in the share of runs that `steady` was given."""
        return self._run(candidate, STEADY_FAILURES, self._most_passes)

    def _run(self, candidate: Schedule, enough: int, most_passes: int) -> bool:
        """Run a candidate until `enough` failures; return False after more than `most_passes`."""
        undecided = failures = 0
        while undecided < UNDECIDED_RUNS and self._trials.evidence.passes(candidate) <= most_passes:
            seen, result = self._trials.run(candidate)
            failures += seen is Seen.FAILED
            undecided += seen is Seen.UNDECIDED
            if failures >= enough:
                self._accept(candidate, result)
                return True
        return False

    def _accept(self, candidate: Schedule, result: RunResult) -> None:
        assert result.failure is not None
        step = result.failure.step
        self.best = candidate if step is None else candidate.prefix(step + 1)
        self.failure = result.failure
        self._accepted.append((self.best, self.failure))

    def _delete_chunks(self, size: int) -> bool:
        changed = False
        end = len(self.best.steps)
        while end > 0:
            start = max(0, end - size)
            changed |= self.attempt(without(self.best, start, end))
            end = min(start, len(self.best.steps))
        return changed

    def _simplify(self) -> bool:
        changed = self._attempt_arguments(least(self.best))
        changed |= any(map(self.attempt, fewer_workers(self.best)))
        index = 0
        while index < len(self.best.steps):
            if self._simplify_step(index):
                changed = True
            else:
                index += 1
        return changed

    def _simplify_step(self, index: int) -> bool:
        # A fault loses its moment only if it fails nearly as often without.
        by_clock = (self.attempt(c, STEADY_FAILURES) for c in unpinned(self.best, index))
        return (
            any(map(self.attempt, plainer_steps(self.best, index)))
            or any(by_clock)
            or self._attempt_arguments(earlier(self.best, index))
            or self._attempt_arguments(simpler(self.best, index))
        )

    def pin(self, alphabet: Alphabet) -> bool:
        """Pin a fault to the first moment at which every run fails; False if there is none."""
        self._most_passes = 0
        return any(map(self._attempt_steady, pinnings(self.best, alphabet)))

    def _attempt_arguments(self, candidates: Iterable[Schedule]) -> bool:
        enough = ARGUMENT_FAILURES if self.reliable else 1
        return any(self.attempt(candidate, enough) for candidate in candidates)
