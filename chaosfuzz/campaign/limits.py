"""Documented limits on their way to a case: run and reduced like failures, told apart from them."""

from dataclasses import replace

from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import Runner, RunResult
from chaosfuzz.domain.verdict import Failure, Signature, Verdict


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
