"""Failures on their way to a case: which one of a schedule to shrink, and documented limits."""

from collections import Counter
from dataclasses import dataclass, replace

from chaosfuzz.domain.case import Rate
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.stop import Stopped, StopSignal
from chaosfuzz.domain.target import Runner, RunResult
from chaosfuzz.domain.verdict import Failure, Signature, Verdict

RUNS = 8
# Seen so often, the failure that was found is taken; another one has to show once more.
ENOUGH = 2


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """The failure of a schedule that shows most, how often, and the others that showed."""

    result: RunResult
    rate: Rate
    others: tuple[Signature, ...] = ()

    @property
    def rare(self) -> bool:
        """Say whether it has not shown again."""
        return self.rate.violations < ENOUGH


def look_again(runner: Runner, found: RunResult, stop: StopSignal) -> Sighting:
    """Run a failing schedule again until one failure has shown often enough, or RUNS are over.

    A schedule may break several promises; one that breaks now and then hides behind one that
    breaks always, and shrinks far worse.
    """
    assert found.failure is not None
    first = found.failure.signature
    kept: dict[Signature, RunResult] = {}
    seen: Counter[Signature] = Counter()

    def note(result: RunResult) -> None:
        # One look may show the same for several tasks: that is still one run.
        shown = {each.signature: None for each in (result.failure, *result.also) if each}
        for signature in shown:
            seen[signature] += 1
            kept.setdefault(signature, result.showing(signature))

    note(found)
    runs = 1
    while runs <= RUNS and not stop.is_set():
        if seen[first] >= ENOUGH or max(seen.values()) > ENOUGH:
            break
        try:
            result = runner.run(found.schedule)
        except Stopped:
            break
        runs += 1
        note(result)
    chosen = max(seen, key=lambda signature: (seen[signature], signature == first))
    return Sighting(
        result=kept[chosen],
        rate=Rate(violations=seen[chosen], attempts=runs),
        others=tuple(signature for signature in seen if signature != chosen),
    )


class LimitAsFailure:
    """A runner to which one documented limit is a failure (implements Runner).

    A promise that a schedule breaks goes before it. With `documented` what is admitted in other
    words is another limit: while one is reduced it is not to become the other.
    """

    def __init__(self, runner: Runner, signature: Signature, documented: str = "") -> None:
        self._runner = runner
        self._signature = signature
        self._documented = documented

    def run(self, schedule: Schedule) -> RunResult:
        """Run, and take the limit for a failure if it shows.

        A promise that breaks in the same way is not the limit, nor does it say that it is not.
        """
        result = as_failure(self._runner.run(schedule), self._signature, self._documented)
        failure = result.failure
        if failure is None or failure.documented or failure.signature != self._signature:
            return result
        reason = f"a promise was broken in the way of the limit: {failure.message}"
        undecided = (*result.undecided, reason)
        return replace(result, failure=None, verdict=Verdict.UNKNOWN, undecided=undecided)

    def close(self) -> None:
        """Leave the runner to its owner."""


def as_failure(result: RunResult, signature: Signature, documented: str = "") -> RunResult:
    """Return the result with a documented limit of this signature taken for its failure."""
    limit = limit_of(result, signature, documented)
    if limit is None or result.failure is not None:
        return result
    return replace(result, failure=limit, verdict=Verdict.VIOLATED)


def limit_of(result: RunResult, signature: Signature, documented: str = "") -> Failure | None:
    """Return the documented limit of this signature (in these words) that a result shows."""
    alike = (limit for limit in result.limits if limit.signature == signature)
    return next((limit for limit in alike if documented in {"", limit.documented}), None)
