"""Sweeps over the candidates: what is tried in which order, and what is kept."""

from collections.abc import Iterable

from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure
from chaosfuzz.shrinking.arguments import least, quick, simpler
from chaosfuzz.shrinking.candidates import fewer_workers, plainer_steps, without
from chaosfuzz.shrinking.trials import Seen, Trials

UNDECIDED_RUNS = 3


class Sweeps:
    """Holds the smallest schedule known to fail, and makes it smaller.

    A candidate is accepted at its first failure and given up after `need` passes.
    """

    def __init__(self, trials: Trials, schedule: Schedule, failure: Failure) -> None:
        self.best = schedule if failure.step is None else schedule.prefix(failure.step + 1)
        self.failure = failure
        self.need = 1
        self._trials = trials
        self._accepted = [(self.best, failure)]

    def first(self) -> None:
        """Take away what can go cheaply, in chunks from large to small, then simplify."""
        self.attempt(quick(self.best))
        size = max(1, len(self.best.steps) // 2)
        while size:
            self._delete_chunks(size)
            size //= 2
        self._simplify()

    def last(self) -> None:
        """Try everything small until nothing changes."""
        while self._simplify() | self._delete_chunks(1):
            pass

    def attempt(self, candidate: Schedule) -> bool:
        """Run a candidate until it fails, and keep it, or has passed too often to be believed."""
        if candidate == self.best or not candidate.steps:
            return False
        undecided = 0
        while self._trials.evidence.passes(candidate) < self.need and undecided < UNDECIDED_RUNS:
            seen, result = self._trials.run(candidate)
            if seen is Seen.FAILED:
                self._accept(candidate, result)
                return True
            undecided += seen is Seen.UNDECIDED
        return False

    def step_back(self) -> bool:
        """Give up the best schedule for one that failed before it; False if there is none.

        Half of what was accepted is given up at once: few steps lead back to what is certain.
        """
        if len(self._accepted) == 1:
            return False
        del self._accepted[(len(self._accepted) + 1) // 2 :]
        self.best, self.failure = self._accepted[-1]
        return True

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
        changed = self._attempt_any(least(self.best))
        changed |= self._attempt_any(fewer_workers(self.best))
        index = 0
        while index < len(self.best.steps):
            if self._attempt_any(plainer_steps(self.best, index)) or self._attempt_any(
                simpler(self.best, index)
            ):
                changed = True
            else:
                index += 1
        return changed

    def _attempt_any(self, candidates: Iterable[Schedule]) -> bool:
        return any(self.attempt(candidate) for candidate in candidates)
