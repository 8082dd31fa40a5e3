"""`chaosfuzz replay`: run saved cases again, and tell how often they fail."""

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
from rich.console import Console

from chaosfuzz.campaign.replay import CaseReplay, Standing, Try, setup_for
from chaosfuzz.campaign.results import create_run_directory
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cases import CaseStore, resolve
from chaosfuzz.cli.help import Command, examples
from chaosfuzz.cli.interrupts import EXIT_INTERRUPTED, stopping
from chaosfuzz.cli.options import (
    DEFAULT_CASES,
    PLACES,
    invariants_option,
    json_option,
    limits_option,
    out_option,
    profiles_option,
)
from chaosfuzz.cli.progress import make_console
from chaosfuzz.domain.case import PROCESS, Case, Rate
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.reporting.description import describe_schedule, rates
from chaosfuzz.reporting.eventlog import EventLog
from chaosfuzz.reporting.story import story_of
from chaosfuzz.reporting.summary import FailureSummary, Summary, write_json

NO_DEFECT = "none"
TIMES = 10
# A stale or changed case is what --judge looks for; an undecided one comes after both.
JUDGED = {Standing.EXPECTED: 0, Standing.UNEXPECTED: 1, Standing.STALE: 1, Standing.UNDECIDED: 3}


@click.command(
    cls=Command,
    epilog=examples(
        "chaosfuzz replay shrunk_cases/reference/lost-respond-before-commit.yaml --times 20",
        "chaosfuzz replay shrunk_cases --defect none",
        "chaosfuzz replay shrunk_cases --judge",
    ),
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--times",
    type=click.IntRange(1, 10_000),
    help=f"How often to run each case. Default: {TIMES}; with --judge, until it is judged.",
)
@click.option(
    "--judge",
    is_flag=True,
    help="Exit by what each case expects, as pytest does, and not by whether a promise broke.",
)
@click.option(
    "--defect",
    "defects",
    multiple=True,
    metavar="NAME",
    help="Plant this defect instead of the case's (repeatable); none: plant no defect.",
)
@click.option(
    "--on",
    type=click.Choice(PLACES),
    help="Run the target so. Default: as when the case was saved.",
)
@profiles_option
@limits_option
@invariants_option
@out_option
@json_option
def replay(
    paths: tuple[Path, ...],
    times: int | None,
    defects: tuple[str, ...],
    on: str | None,
    invariants: Path | None,
    out: Path,
    json_to: str | None,
    *,
    profiles: tuple[Path, ...],
    limits_fail: bool,
    judge: bool,
) -> int:
    """Run saved cases again, and tell how often they fail.

    PATHS are case files and directories of them. For each case you see every try, how often it
    failed, and what happened in one failed try, in order of time. The last line of a case says
    whether it is as its file expects, judged against its saved rate (docs/cases.md).

    Exit code: 0 no try broke a promise, 1 one did, 2 bad usage or file, 3 chaosfuzz failed or
    could not decide. With --judge: 0 every case is as expected, 1 one is not or is stale, 2 and 3
    as before.
    """
    store = CaseStore(DEFAULT_CASES)
    cases = [(path, store.load(path)) for path in resolve(paths)]
    chosen = _chosen_defects(defects)
    if judge and chosen is not None:
        raise UsageError(
            cause="--judge compares with the rate that was saved with the defects of the case",
            remedy="leave out --judge or --defect",
        )
    setups = [
        (path, case, check(path, case, chosen, invariants, profiles, on)) for path, case in cases
    ]
    console = make_console(to_stderr=json_to == "-")
    times = times if judge else times or TIMES
    session = _Replay(out, console, times, limits_fail=limits_fail)
    code = session.run(setups, json_to)
    if judge and code != EXIT_INTERRUPTED:
        codes = {JUDGED[standing] for standing in session.standings}
        return 1 if 1 in codes else max(codes, default=3)
    return code


def _chosen_defects(defects: tuple[str, ...]) -> tuple[str, ...] | None:
    if not defects:
        return None
    if NO_DEFECT in defects:
        if len(defects) > 1:
            raise UsageError(
                cause="--defect none plants no defect, so it excludes other --defect options",
                remedy="leave out either",
            )
        return ()
    return tuple(dict.fromkeys(defects))


def check(
    path: Path,
    case: Case,
    defects: tuple[str, ...] | None,
    invariants: Path | None,
    profiles: tuple[Path, ...],
    on: str | None = None,
) -> Setup:
    """Return the setup of a case; refuse one that names something that is not there."""
    try:
        setup = setup_for(case, defects, invariants, profiles, on)
        setup.check_case(case)
    except UsageError as error:
        raise error.at(path) from error
    return setup


class _Replay:
    """One invocation of `replay`."""

    def __init__(
        self, out: Path, console: Console, times: int | None, *, limits_fail: bool
    ) -> None:
        self.standings: list[Standing] = []
        self.limits_fail = limits_fail
        self.limits: list[FailureSummary] = []
        self.directory = create_run_directory(out, "replay")
        self.console = console
        self.times = times
        self.tries: list[Try] = []
        self.failures: list[FailureSummary] = []
        self.stop = StopSignal()

    def run(
        self,
        cases: Sequence[tuple[Path, Case, Setup]],
        json_to: str | None,
    ) -> int:
        """Replay all cases and return the exit code."""
        began = time.monotonic()
        log = EventLog(self.directory / "events.jsonl")
        failed: InfrastructureError | None = None
        with closing(log), stopping(self.stop.set) as interrupts:
            try:
                for path, case, setup in cases:
                    if not self.stop.is_set():
                        self._replay(path, case, setup, log)
            except InfrastructureError as error:
                failed = error
        summary = self._summary(cases, time.monotonic() - began, failed)
        (self.directory / "run.json").write_text(summary.to_json(), encoding="utf-8")
        if json_to is not None:
            write_json(summary, json_to)
        if failed is not None:
            raise failed
        if interrupts.seen and not self.failures:
            return EXIT_INTERRUPTED
        return summary.verdict.exit_code

    def _replay(
        self,
        path: Path,
        case: Case,
        setup: Setup,
        log: EventLog,
    ) -> None:
        say = self.console.print
        planted = ", ".join(setup.defects) or "none"
        say(f"{path}: {case.title}")
        say(f"expected {case.failure}, defects: {planted}")
        for line in describe_schedule(case):
            say(line)
        replay = CaseReplay(case, setup, times=self.times)
        for attempt in replay.run(self.directory / "logs", log, self.stop):
            say(f"try {attempt.number}: {_outcome(attempt)}  {attempt.result.duration_s:.2f} s")
        self.tries += replay.tries
        self._tell(path, replay)
        if setup.defects == case.defects:
            judgement = replay.judgement(path)
            self.standings.append(judgement.standing)
            say(f"{judgement.standing.value}: {judgement.reason}")
            if judgement.note:
                say(f"note: {judgement.note}")

    def _tell(self, path: Path, replay: CaseReplay) -> None:
        """Say how often a case failed with the story of a failure, and keep it for the summary."""
        say, case, tries = self.console.print, replay.case, replay.tries
        setup, broken = replay.setup, replay.broken
        rate = Rate(violations=sum(t.violated for t in tries), attempts=len(tries))
        where = "" if setup.on == case.on == PROCESS else f" on {setup.on}"
        say(f"fails {rate}{where}; when saved: {rates(case)}{'' if not where else _saved_on(case)}")
        if broken is None:
            return
        assert broken.result.failure is not None
        others = sum(t.result.failure is not None for t in tries) - rate.violations
        if others:
            say(f"{counted(others, 'try', 'tries')} failed in another way than the case")
        say(f"what happened in try {broken.number}:")
        for line in story_of(broken.result):
            say(f"  {line}")
        documented = broken.result.failure.documented
        if documented:
            say(f"no promise is broken: the target documents this limit: {documented}")
        (self.limits if documented else self.failures).append(
            FailureSummary(
                signature=broken.result.failure.signature,
                case=str(path),
                steps=len(case.schedule.steps),
                original_steps=case.found.steps,
                violations=rate.violations if broken.violated else others,
                attempts=rate.attempts,
                executions_to_shrink=case.found.executions_to_shrink,
            )
        )

    def _summary(
        self,
        cases: Sequence[tuple[Path, Case, Setup]],
        duration_s: float,
        failed: InfrastructureError | None,
    ) -> Summary:
        undecided = sum(
            t.result.failure is None
            and (t.result.verdict is Verdict.UNKNOWN or bool(t.result.missed))
            for t in self.tries
        )
        verdict = Verdict.conclude(
            violated=bool(self.failures or (self.limits_fail and self.limits)),
            failed=failed is not None,
            undecided=bool(undecided) or not self.tries,
        )
        first = cases[0][1]
        planted = {name for _, _, setup in cases for name in setup.defects}
        return Summary(
            command="replay",
            target=first.target,
            defects=tuple(sorted(planted)),
            verdict=verdict,
            seed=first.found.seed,
            schedules=len(self.tries),
            steps=sum(t.result.steps_run for t in self.tries),
            duration_s=duration_s,
            failures=tuple(self.failures),
            limits=tuple(self.limits),
            unknown_schedules=undecided,
            faults=sum(t.result.faults for t in self.tries),
            message=failed.text if failed else "",
        )


def _saved_on(case: Case) -> str:
    plain = case.on == PROCESS and case.confirmed is None
    return f" on {case.on}" if plain else ""


def _outcome(attempt: Try) -> str:
    result = attempt.result
    if result.failure is not None:
        note = "" if attempt.same_signature else " (not the failure of the case)"
        word = "documented limit" if result.failure.documented else "violated"
        return f"{word}  {result.failure.signature}{note}: {result.failure.message}"
    if result.verdict is Verdict.UNKNOWN:
        return f"unknown   {'; '.join(result.undecided)}"
    if result.missed:
        steps = ", ".join(str(index + 1) for index in result.missed)
        return f"undecided  the moment of step {steps} never came, so this try shows nothing"
    return "holds"
