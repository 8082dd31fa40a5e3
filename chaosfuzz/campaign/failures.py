"""Chooses which failure of a schedule to shrink, and treats documented limits as failures."""

from collections import Counter
from dataclasses import dataclass, replace

from chaosfuzz.domain.case import Rate
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.stop import Stopped, StopSignal
from chaosfuzz.domain.target import Runner, RunResult
from chaosfuzz.domain.verdict import Signature, Verdict

# The most runs of `look_again`. Chosen by hand.
RUNS = 8
# The failure that was found is chosen once it has shown this often; another failure of the
# schedule has to show once more than that. Chosen by hand.
ENOUGH = 2


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A failing result that was chosen for reduction.

    `rate` counts how often its failure showed in the runs of the schedule. `others` are the
    signatures of the schedule's other failures.
    """

    result: RunResult
    rate: Rate
    others: tuple[Signature, ...] = ()

    @property
    def rare(self) -> bool:
        """Say whether the failure showed in one run only."""
        return self.rate.violations < ENOUGH


def look_again(runner: Runner, found: RunResult, stop: StopSignal) -> Sighting:
    """Run a failing schedule again and return the failure that shows most often.

    A schedule may have several failures, and a rare one shrinks badly. The runs end when the
    failure of `found` has shown ENOUGH times or another one more often than that, after RUNS runs,
    or when `stop` is set. Of failures that show equally often, that of `found` is returned.
    """
    assert found.failure is not None
    first = found.failure.signature
    results: dict[Signature, RunResult] = {}
    seen: Counter[Signature] = Counter()

    def note(result: RunResult) -> None:
        # One run may show the same failure for several tasks; it counts once.
        shown = {each.signature: None for each in (result.failure, *result.also) if each}
        for signature in shown:
            seen[signature] += 1
            results.setdefault(signature, result.showing(signature))

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
        result=results[chosen],
        rate=Rate(violations=seen[chosen], attempts=runs),
        others=tuple(signature for signature in seen if signature != chosen),
    )


class DocumentedLimitAsFailure:
    """A runner that reports one documented limit as the failure of a run (implements Runner).

    `documented` is the text of the documented limit. If it is given, a documented limit with the
    same signature and another text does not count, so reduction cannot drift from one to the other.
    """

    def __init__(self, runner: Runner, signature: Signature, documented: str = "") -> None:
        self._runner = runner
        self._signature = signature
        self._documented = documented

    def run(self, schedule: Schedule) -> RunResult:
        """Run, and return the result with the documented limit as its failure if it showed.

        A broken promise stays the failure if its signature differs. A broken promise with the
        documented limit's signature makes the result undecided: the run cannot show which it is.
        """
        result = as_failure(self._runner.run(schedule), self._signature, self._documented)
        failure = result.failure
        if failure is None or failure.documented or failure.signature != self._signature:
            return result
        reason = (
            "a promise was broken with the signature of the documented limit, so the run does not "
            f"show whether the documented limit occurs: {failure.message}"
        )
        undecided = (*result.undecided, reason)
        return replace(result, failure=None, verdict=Verdict.UNKNOWN, undecided=undecided)

    def close(self) -> None:
        """Do nothing: the owner of the wrapped runner closes it."""


def as_failure(result: RunResult, signature: Signature, documented: str = "") -> RunResult:
    """Return the result with its documented limit of this signature as the failure.

    With `documented`, only a documented limit with this text counts. The result is returned
    unchanged if it shows no such documented limit, or a broken promise.
    """
    for limit in result.limits if result.failure is None else ():
        if limit.signature == signature and documented in {"", limit.documented}:
            return replace(result, failure=limit, verdict=Verdict.VIOLATED)
    return result
