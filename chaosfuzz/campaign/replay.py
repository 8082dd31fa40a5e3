"""Runs saved cases again."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.case import Case, Rate
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.reporting.story import tell


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


def setup_for(case: Case, defects: tuple[str, ...] | None) -> Setup:
    """Return the setup of a case, its defects replaced if given."""
    chosen = case.defects if defects is None else defects
    return Setup(target=case.target, defects=chosen, mode=_mode(case), seed=case.found.seed)


def replay(
    case: Case, setup: Setup, times: int, logs: Path, journal: Journal, *, until_violated: bool
) -> Iterator[Try]:
    """Run a case up to so many times, yielding each try."""
    runner = setup.runner(0, logs, journal, threading.Event())
    with closing(runner):
        for number in range(1, times + 1):
            result = runner.run(case.schedule)
            same = result.failure is not None and result.failure.signature == case.signature
            attempt = Try(number=number, result=result, same_signature=same)
            yield attempt
            if until_violated and attempt.violated:
                return


def rate_of(tries: list[Try]) -> Rate:
    """Count the tries that showed the case's failure."""
    return Rate(violations=sum(t.violated for t in tries), attempts=len(tries))


def story_of(result: RunResult) -> tuple[str, ...]:
    """Tell what happened in a run."""
    if result.history is None:
        return result.story
    tasks = result.failure.tasks if result.failure is not None else ()
    return tell(result.history, result.failure, tasks)


def _mode(case: Case) -> str:
    exactly_once = case.contract == "exactly-once-effect"
    return "exactly-once-effect" if exactly_once else "at-least-once"
