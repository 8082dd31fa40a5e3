"""Runs saved cases again."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.campaign.events import Event, FailureFound, ScheduleDone
from chaosfuzz.campaign.reduction import Reduction
from chaosfuzz.campaign.sighting import Sighting
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.case import Case, Rate
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.target import Runner, RunResult
from chaosfuzz.domain.verdict import Verdict

ATTEMPTS_TO_REPRODUCE = 20


@dataclass(frozen=True, kw_only=True)
class Try:
    """One run of a case. Another signature than the case's is told as such."""

    number: int
    result: RunResult
    same_signature: bool

    @property
    def violated(self) -> bool:
        """Say whether the case's own failure showed."""
        return self.result.verdict is Verdict.VIOLATED and self.same_signature


def setup_for(
    case: Case, defects: tuple[str, ...] | None = None, invariants: Path | None = None
) -> Setup:
    """Return the setup of a case, its defects replaced if given."""
    return Setup(
        target=case.target,
        defects=case.defects if defects is None else defects,
        mode=case.contract,
        seed=case.found.seed,
        invariants=invariants,
    )


def replay(
    case: Case,
    setup: Setup,
    times: int,
    logs: Path,
    journal: Journal,
    stop: threading.Event,
    *,
    until_violated: bool,
) -> Iterator[Try]:
    """Run a case up to so many times on a runner of its own, yielding each try."""
    with closing(setup.runner(0, logs, journal, stop)) as runner:
        yield from replay_on(runner, case, times, stop, until_violated=until_violated)


def replay_on(
    runner: Runner, case: Case, times: int, stop: threading.Event, *, until_violated: bool
) -> Iterator[Try]:
    """Run a case up to so many times, yielding each try; ends early when asked to stop."""
    for number in range(1, times + 1):
        try:
            result = runner.run(case.schedule)
        except KeyboardInterrupt:
            if stop.is_set():
                return
            raise
        same = result.failure is not None and result.failure.signature == case.signature
        attempt = Try(number=number, result=result, same_signature=same)
        yield attempt
        if until_violated and attempt.violated:
            return


def shrink_again(
    case: Case, reduction: Reduction, runner: Runner, stop: threading.Event
) -> Iterator[Event]:
    """Run a case until its failure shows, then reduce it; ends if none of many runs shows it."""
    for attempt in replay_on(runner, case, ATTEMPTS_TO_REPRODUCE, stop, until_violated=True):
        yield ScheduleDone(result=attempt.result, elapsed_s=attempt.result.duration_s)
        if attempt.violated:
            assert attempt.result.failure is not None
            rate = Rate(violations=1, attempts=attempt.number)
            yield FailureFound(failure=attempt.result.failure, schedule=case.schedule, rate=rate)
            sighting = Sighting(result=attempt.result, rate=rate)
            yield from reduction.reduce(runner, sighting)


def rate_of(tries: Sequence[Try]) -> Rate:
    """Count the tries that showed the case's failure."""
    return Rate(violations=sum(t.violated for t in tries), attempts=len(tries))
