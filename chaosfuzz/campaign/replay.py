"""Runs saved cases again, and judges them against their saved rates."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from chaosfuzz.actions import whose_moment
from chaosfuzz.campaign.events import Event, FailureFound, ScheduleDone
from chaosfuzz.campaign.failures import DocumentedLimitAsFailure, Sighting
from chaosfuzz.campaign.learning import learn_at_once, merged
from chaosfuzz.campaign.reduction import Reduction
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cases.statistics import (
    MOST_RUNS,
    MOST_RUNS_UNDECIDABLE,
    POWER,
    can_fail,
    has_fallen,
    is_as_saved,
    power,
    runs_to_hold,
)
from chaosfuzz.domain.case import UNMEASURED, Case, Rate
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.moment import Alphabet, EventClass
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.stop import Stopped, StopSignal
from chaosfuzz.domain.target import Runner, RunResult, TracingRunner
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.targets.profiles import load_profile
from chaosfuzz.targets.registry import looks_like_path

# All chosen by hand. `shrink` runs a case so often at most until its failure shows.
ATTEMPTS_TO_REPRODUCE = 20
# After so many runs without the moment, check whether the target still makes the request.
RUNS_FOR_A_MOMENT = 3
# After so many undecided runs a replay ends: more of them would not decide the case.
MOST_UNDECIDED = 20


@dataclass(frozen=True, kw_only=True)
class Try:
    """One run of a case; `same_signature` says whether it showed a failure that the case means."""

    number: int
    result: RunResult
    same_signature: bool

    @property
    def violated(self) -> bool:
        """Say whether the case's own failure showed."""
        return self.result.verdict is Verdict.VIOLATED and self.same_signature

    @property
    def decided(self) -> bool:
        """Say whether the run counts for the judgement.

        A run does not count if its verdict is UNKNOWN, if a moment never came and the case's
        failure did not show, or if another failure ended it.
        """
        return self.violated or (self.result.verdict is Verdict.HOLDS and not self.result.missed)


class Standing(StrEnum):
    """The result of comparing a case's runs with the expectation in its file."""

    EXPECTED = "as expected"
    UNEXPECTED = "not as expected"
    STALE = "stale"
    UNDECIDED = "undecided"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The standing of a case, the reason with its remedy, and a note on runs that proved nothing.

    The note also says if there were too few runs for the usual power of the test.
    """

    standing: Standing
    reason: str
    note: str = ""


class CaseReplay:
    """The runs of one case and the judgement on them; cases.statistics has the tests.

    With `times` the case is run so often. Without it, runs end as soon as the judgement is decided,
    after `most` runs at the latest; a case that is to hold is decided after `most` decided runs.
    """

    def __init__(
        self, case: Case, setup: Setup, *, times: int | None = None, most: int | None = None
    ) -> None:
        self.case = case
        self.setup = setup
        self.tries: list[Try] = []
        self._times = times
        self._most = most
        self._stale: tuple[Step, ...] = ()
        self.saved = _saved_rate(case, setup.on)

    def run(self, logs: Path, journal: Journal, stop: StopSignal) -> Iterator[Try]:
        """Run the case on a runner of its own, and yield each try.

        If no run reached all moments, learn at the end which requests the target makes now;
        `judgement` needs that to tell a stale case. Raises InfrastructureError if the target
        cannot be run.
        """
        most = self._times or self._most or self._bound() + MOST_UNDECIDED
        with closing(self.setup.runner(0, logs, journal, stop)) as runner:
            for attempt in replay_on(runner, self.case, most, until_violated=False):
                self.tries.append(attempt)
                yield attempt
                if self._times is None and self._is_decided():
                    break
            if self.never_came and not stop.is_set():
                requests = requests_of(runner, self.setup, self.case.schedule)
                self._stale = stale_steps(self.case.schedule, requests)

    @property
    def today(self) -> Rate:
        """The runs that showed the case's failure, among the decided runs."""
        return Rate(
            violations=sum(t.violated for t in self.tries),
            attempts=sum(t.decided for t in self.tries),
        )

    @property
    def broken(self) -> Try | None:
        """The first try that shows the case's failure, else the first that shows another."""
        own = (t for t in self.tries if t.violated)
        other = (t for t in self.tries if t.result.failure is not None)
        return next(own, None) or next(other, None)

    @property
    def never_came(self) -> bool:
        """Say whether every run missed a moment and did not show the case's failure."""
        return bool(self.tries) and all(t.result.missed and not t.violated for t in self.tries)

    def judgement(self, path: object) -> Judgement:
        """Judge the runs so far; `path`, the case's file, appears in the remedies."""
        if self._stale:
            moments = ", ".join(dict.fromkeys(str(step.at) for step in self._stale))
            reason = (
                f"{self.setup.place} no longer makes the request of the moment {moments}, so the "
                "case proves nothing. Give the case the new name of the request: "
                f"chaosfuzz cases refresh {path}"
            )
            return Judgement(standing=Standing.STALE, reason=reason)
        if not self._is_to_fail and self.broken is not None:
            assert self.broken.result.failure is not None
            return self._judged(Standing.UNEXPECTED, self.broken.result.failure.message)
        if not self.today.attempts:
            why = self._unproven() or "it was not run"
            reason = f"none of {len(self.tries)} runs is decided: {why}"
            if self._others:
                reason += f". Fix that failure first, or delete the case if it is obsolete: {path}"
            return Judgement(standing=Standing.UNDECIDED, reason=reason)
        return self._judge_violated(path) if self._is_to_fail else self._judge_holds()

    @property
    def _others(self) -> list[str]:
        """The signature of the other failure that ended a run, for each such run."""
        failures = (t.result.failure for t in self.tries if not t.violated)
        return [str(failure.signature) for failure in failures if failure is not None]

    @property
    def _is_to_fail(self) -> bool:
        return self.case.expect is Verdict.VIOLATED

    def _judge_violated(self, path: object) -> Judgement:
        saved, today, failure = self.saved, self.today, self.case.failure
        told = f"{failure} showed in {today} runs"
        told += f", when saved in {saved}" if saved.attempts else ""
        mend = (
            "If the failure is fixed, set `expect: holds` in the case. If it still exists and is "
            f"only rarer, measure its rate again: chaosfuzz shrink {path}"
        )
        if has_fallen(saved, today):
            why = "If the rate were unchanged, fewer than one test in a million would show so few."
            return self._judged(Standing.UNEXPECTED, f"{told}. {why} {mend}")
        if is_as_saved(saved, today):
            return self._judged(Standing.EXPECTED, told)
        if not saved.attempts:
            return self._judged(Standing.UNEXPECTED, f"{told}. {mend}")
        why = "These are too few runs to tell whether the rate has fallen."
        if not can_fail(saved, MOST_RUNS):
            why = f"With a saved count of {saved}, {MOST_RUNS} runs cannot show a fall of the rate."
        return self._judged(Standing.UNDECIDED, f"{told}. {why} {mend}")

    def _judge_holds(self) -> Judgement:
        runs, saved = self.today.attempts, self.saved
        told = f"{self.case.failure} did not show in {counted(runs, 'run')}"
        reached = power(saved, runs)
        short = saved.attempts and reached < POWER
        cut = (
            f"at the saved rate of {saved}, {counted(runs, 'run')} would show the failure with a "
            f"probability of {reached:.0%} only"
        )
        return self._judged(Standing.EXPECTED, told, cut if short else "")

    def _judged(self, standing: Standing, reason: str, note: str = "") -> Judgement:
        notes = [text for text in (note, self._unproven()) if text]
        return Judgement(standing=standing, reason=reason, note="; ".join(notes))

    def _unproven(self) -> str:
        """Return in words how many runs proved nothing, and why; empty if there were none."""
        told, runs = [], len(self.tries)
        others = self._others
        if others and self._is_to_fail:
            which = ", ".join(sorted(set(others)))
            told.append(f"another failure showed first in {len(others)} of {runs} runs ({which})")
        missed = [t for t in self.tries if t.result.missed and t.result.failure is None]
        if missed:
            steps = sorted({index + 1 for t in missed for index in t.result.missed})
            which = f"step{'s' if len(steps) != 1 else ''} {', '.join(map(str, steps))}"
            told.append(f"the moment of {which} never came in {len(missed)} of {runs} runs")
        open_runs = (t.result for t in self.tries if not t.decided and t.result.failure is None)
        whys = [result.undecided[0] for result in open_runs if result.undecided]
        if whys:
            told.append(f"{len(whys)} of {runs} runs were undecided: {whys[0]}")
        return "; ".join(told)

    def _is_decided(self) -> bool:
        if self.never_came and len(self.tries) - len(self._others) >= RUNS_FOR_A_MOMENT:
            return True
        today = self.today
        if len(self.tries) - today.attempts >= MOST_UNDECIDED:
            return True
        if self._is_to_fail:
            is_clear = has_fallen(self.saved, today) or is_as_saved(self.saved, today)
            return is_clear or today.attempts >= self._bound()
        needed = self._most or runs_to_hold(self.saved)
        return self.broken is not None or today.attempts >= needed

    def _bound(self) -> int:
        """Return the most decided runs: fewer if not even MOST_RUNS could show a fallen rate."""
        decidable = not self._is_to_fail or can_fail(self.saved, MOST_RUNS)
        return MOST_RUNS if decidable else MOST_RUNS_UNDECIDABLE


def _saved_rate(case: Case, on: str) -> Rate:
    """Return the rate that was saved for `on` (process or docker), else UNMEASURED."""
    if case.confirmed is not None and on == case.confirmed.on:
        return case.confirmed.rate
    return case.reproduces if on == case.on else UNMEASURED


def requests_of(runner: Runner, setup: Setup, schedule: Schedule) -> Alphabet | None:
    """Run each life of a task and the schedule, and return the requests that the target made.

    None for a target without moments.
    """
    if not (setup.description.moments and isinstance(runner, TracingRunner)):
        return None
    learned = learn_at_once(runner, setup.description)
    _, requests = runner.trace(schedule)
    roles = ((r.component.partition("-")[0], r.event) for r in requests)
    here = (EventClass(role=role, event=event) for role, event in dict.fromkeys(roles))
    return merged([learned, Alphabet(events=tuple(here))])


def stale_steps(schedule: Schedule, requests: Alphabet | None) -> tuple[Step, ...]:
    """Return the steps whose moment is a request that is not in `requests`; () for None."""
    if requests is None:
        return ()
    return tuple(
        step
        for step in schedule.steps
        if step.at is not None and step.at.event not in events_for(step, requests)
    )


def events_for(step: Step, requests: Alphabet) -> tuple[str, ...]:
    """Return the events, sorted, of the role of a step's component: its possible moments."""
    role = whose_moment(step).partition("-")[0]
    return tuple(sorted({each.event for each in requests.of(role)}))


def setup_for(
    case: Case,
    defects: tuple[str, ...] | None = None,
    invariants: Path | None = None,
    profiles: Sequence[Path] = (),
    on: str | None = None,
) -> Setup:
    """Return the setup of a case; `defects` and `on`, if given, replace those of the case.

    A case names the target of a profile, never the profile's path. The commands of a profile are
    run only if the user gave its file in `profiles`.

    Raises:
        UsageError: the profile of the case is not among `profiles`, or the case names a path.

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
    """Return the path of the profile that was given for a case's target, else the target's name.

    Raises UsageError if the case names a path, or is of a profile that was not given.
    """
    named = {load_profile(path).name: path for path in profiles}
    if not case.profile and case.target not in named:
        if looks_like_path(case.target):
            raise UsageError(
                cause=(
                    f"the target of the case is {case.target!r}, a path; a case may not name a "
                    "file to be run"
                ),
                remedy="write the target's name there, and give its profile with --profile FILE",
            )
        return case.target
    if case.target not in named:
        raise UsageError(
            cause=f"the case is of {case.target}, whose profile {case.profile!r} was not given",
            remedy="read that file; if its commands may be run here, give it with --profile FILE",
        )
    return str(named[case.target].resolve())


def replay_on(runner: Runner, case: Case, times: int, *, until_violated: bool) -> Iterator[Try]:
    """Run a case up to `times` times and yield each try.

    Ends early when the run is stopped and, with `until_violated`, after the first try that shows
    the case's failure.
    """
    shown = DocumentedLimitAsFailure(runner, case.signature) if case.documented else runner
    for number in range(1, times + 1):
        try:
            result = shown.run(case.schedule).showing(case.signature)
        except Stopped:
            return
        same = result.failure is not None and case.is_own(result.failure.signature)
        attempt = Try(number=number, result=result, same_signature=same)
        yield attempt
        if until_violated and attempt.violated:
            return


def shrink_again(case: Case, reduction: Reduction, runner: Runner) -> Iterator[Event]:
    """Run a case until its failure shows, then reduce it; yield the events.

    Ends without a reduction if none of ATTEMPTS_TO_REPRODUCE runs shows the failure.
    """
    for attempt in replay_on(runner, case, ATTEMPTS_TO_REPRODUCE, until_violated=True):
        yield ScheduleDone(result=attempt.result, elapsed_s=attempt.result.duration_s)
        if attempt.violated:
            assert attempt.result.failure is not None
            rate = Rate(violations=1, attempts=attempt.number)
            yield FailureFound(failure=attempt.result.failure, schedule=case.schedule, rate=rate)
            if case.documented:
                documented = attempt.result.failure.documented
                runner = DocumentedLimitAsFailure(runner, case.signature, documented)
            yield from reduction.reduce(runner, Sighting(result=attempt.result, rate=rate))
