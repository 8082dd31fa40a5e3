"""Runs saved cases again."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.campaign.events import Event, FailureFound, ScheduleDone
from chaosfuzz.campaign.failures import LimitAsFailure, Sighting
from chaosfuzz.campaign.reduction import Reduction
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.case import Case, Rate
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.stop import Stopped, StopSignal
from chaosfuzz.domain.target import Runner, RunResult
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.targets.profiles import load_profile
from chaosfuzz.targets.registry import looks_like_path

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
    case: Case,
    defects: tuple[str, ...] | None = None,
    invariants: Path | None = None,
    profiles: Sequence[Path] = (),
    on: str | None = None,
) -> Setup:
    """Return the setup of a case, its defects and what it runs on replaced if given.

    A case can name no more than the file name of a profile; which file that is, and thereby what
    is run, is for the user to say: `profiles` are those that were named.

    Raises:
        UsageError: the case is of a profile that was not given.

    """
    return Setup(
        target=_target_of(case, profiles),
        on=on or case.on,
        defects=case.defects if defects is None else defects,
        mode=case.contract,
        seed=case.found.seed,
        invariants=invariants,
    )


def _target_of(case: Case, profiles: Sequence[Path]) -> str:
    if not case.profile:
        if looks_like_path(case.target):
            raise UsageError(
                cause=(
                    f"the case names its target {case.target!r}, which is the path of a file; a "
                    "case never names a file to be run"
                ),
                remedy="put the name of the target there, and give its profile with --profile FILE",
            )
        return case.target
    named = {load_profile(path).name: path for path in profiles}
    if case.target not in named:
        raise UsageError(
            cause=f"the case is of {case.target}, whose profile {case.profile!r} was not given",
            remedy="look at that file, and if its commands may be run, name it: --profile FILE",
        )
    return str(named[case.target].resolve())


def replay(
    case: Case,
    setup: Setup,
    times: int,
    logs: Path,
    journal: Journal,
    stop: StopSignal,
    *,
    until_violated: bool,
) -> Iterator[Try]:
    """Run a case up to so many times on a runner of its own, yielding each try."""
    with closing(setup.runner(0, logs, journal, stop)) as runner:
        yield from replay_on(runner, case, times, until_violated=until_violated)


def replay_on(runner: Runner, case: Case, times: int, *, until_violated: bool) -> Iterator[Try]:
    """Run a case up to so many times, yielding each try; ends early when asked to stop."""
    shown = LimitAsFailure(runner, case.signature) if case.documented else runner
    for number in range(1, times + 1):
        try:
            result = shown.run(case.schedule).showing(case.signature)
        except Stopped:
            return
        same = result.failure is not None and result.failure.signature == case.signature
        attempt = Try(number=number, result=result, same_signature=same)
        yield attempt
        if until_violated and attempt.violated:
            return


def shrink_again(case: Case, reduction: Reduction, runner: Runner) -> Iterator[Event]:
    """Run a case until its failure shows, then reduce it; ends if none of many runs shows it."""
    for attempt in replay_on(runner, case, ATTEMPTS_TO_REPRODUCE, until_violated=True):
        yield ScheduleDone(result=attempt.result, elapsed_s=attempt.result.duration_s)
        if attempt.violated:
            assert attempt.result.failure is not None
            rate = Rate(violations=1, attempts=attempt.number)
            yield FailureFound(failure=attempt.result.failure, schedule=case.schedule, rate=rate)
            sighting = Sighting(result=attempt.result, rate=rate)
            documented = attempt.result.failure.documented
            limit = LimitAsFailure(runner, case.signature, documented)
            shown = limit if case.documented else runner
            yield from reduction.reduce(shown, sighting)


def rate_of(tries: Sequence[Try]) -> Rate:
    """Count the tries that showed the case's failure."""
    return Rate(violations=sum(t.violated for t in tries), attempts=len(tries))
