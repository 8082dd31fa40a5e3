"""`chaosfuzz sweep`: one fault at every database request of one task's life."""

import time
from contextlib import closing
from pathlib import Path

import click
from rich.console import Console

from chaosfuzz.campaign.events import CaseSaved
from chaosfuzz.campaign.failures import Sighting
from chaosfuzz.campaign.reduction import Reduction
from chaosfuzz.campaign.results import create_run_directory, write_results
from chaosfuzz.campaign.sweep import DOCUMENTED, NEVER_CAME, Sweep, Swept
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cases import CaseStore
from chaosfuzz.cli.help import Command, examples
from chaosfuzz.cli.interrupts import EXIT_INTERRUPTED, stopping
from chaosfuzz.cli.options import (
    cases_option,
    contract_option,
    default_lanes,
    defects_option,
    invariants_option,
    json_option,
    lanes_option,
    limits_option,
    on_option,
    out_option,
)
from chaosfuzz.cli.progress import clock, make_console
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.stop import Stopped, StopSignal
from chaosfuzz.domain.verdict import Signature, Verdict
from chaosfuzz.planning.enumeration import HOLD
from chaosfuzz.reporting.eventlog import EventLog
from chaosfuzz.reporting.summary import FailureSummary, MomentSummary, Summary, write_json
from chaosfuzz.shrinking import Budget
from chaosfuzz.targets.registry import DEFAULT_TARGET


@click.command(
    cls=Command,
    epilog=examples(
        "chaosfuzz sweep",
        "chaosfuzz sweep reference --defect no-lease-recovery",
        "chaosfuzz sweep mysystem.toml",
    ),
)
@click.argument("target", default=DEFAULT_TARGET)
@on_option
@defects_option
@contract_option
@lanes_option
@invariants_option
@cases_option
@out_option
@json_option
@limits_option
def sweep(
    target: str,
    on: str,
    defects: tuple[str, ...],
    contract: str,
    lanes: int | None,
    invariants: Path | None,
    cases: Path,
    out: Path,
    json_to: str | None,
    *,
    limits_fail: bool,
) -> int:
    """Strike once at every database request of one task's life.

    First the requests are learned from runs without faults. Then, before and after each request,
    the component is killed and its connection is cut, each in a run of its own. A worker's
    requests are also held for longer than a lease while another worker goes on.

    Exit code: 0 every promise held at every moment, 1 one was broken, 2 bad usage, 3 chaosfuzz
    failed or could not decide.
    """
    setup = Setup(
        target=target,
        on=on,
        defects=tuple(dict.fromkeys(defects)),
        mode=contract,
        invariants=invariants,
    )
    setup.check()
    directory = create_run_directory(out, "sweep")
    console = make_console(to_stderr=json_to == "-")
    session = _Session(setup, CaseStore(cases), directory, console, limits_fail=limits_fail)
    return session.run(lanes if lanes is not None else default_lanes(), json_to)


class _Session:
    """One invocation."""

    def __init__(
        self,
        setup: Setup,
        store: CaseStore,
        directory: Path,
        console: Console,
        *,
        limits_fail: bool,
    ) -> None:
        self.setup = setup
        self.limits_fail = limits_fail
        self.store = store
        self.directory = directory
        self.console = console
        self.swept: list[Swept] = []
        self.stop = StopSignal()
        self.began = time.monotonic()

    def run(self, lanes: int, json_to: str | None) -> int:
        """Sweep, print and save; return the exit code."""
        say = self.console.print
        planted = "".join(f" with {name}" for name in self.setup.defects)
        failed: InfrastructureError | None = None
        log = EventLog(self.directory / "events.jsonl")
        with closing(log), stopping(self.stop.set) as interrupts:
            say(f"sweeping {self.setup.place}{planted}: learning the requests of a task's life")
            try:
                with Sweep(self.setup, lanes, self.directory, log, self.stop) as campaign:
                    points = campaign.learn()
                    say(f"{counted(len(points), 'moment')}, {counted(lanes, 'lane')}")
                    for number, swept in enumerate(campaign.run(points), 1):
                        self.swept.append(swept)
                        say(_row(number, len(points), swept))
            except Stopped:
                pass
            except InfrastructureError as error:
                failed = error
        return self._finish(failed, json_to, interrupted=interrupts.seen)

    def _finish(
        self, failed: InfrastructureError | None, json_to: str | None, *, interrupted: bool
    ) -> int:
        saved = self._save()
        summary = self._summary(saved, failed)
        say = self.console.print
        counts = {v: sum(s.verdict == v for s in self.swept) for v in _ORDER}
        told = [f"{n} {'hold' if v == 'holds' else v}" for v, n in counts.items() if n]
        told += ["interrupted"] if interrupted else []
        took = f"{counted(len(self.swept), 'moment')} in {clock(summary.duration_s)}"
        say(f"{summary.verdict}: {took}{': ' if told else ''}{', '.join(told)}")
        for case in saved:
            admitted = "documented limit " if case.case.documented else ""
            rate = f"fails {case.case.reproduces}"
            say(f"{admitted}{case.case.signature}, {rate}: {case.case.title}")
            if case.case.documented:
                say(f"source  {case.case.documented}")
            say(f"case    {case.path}")
            say(f"replay  chaosfuzz replay {case.path}")
        problem = write_results(self.directory, summary, saved)
        say(f"results {self.directory}" if not problem else f"results: {problem}")
        if json_to is not None:
            write_json(summary, json_to)
        if failed is not None and summary.verdict is not Verdict.VIOLATED:
            raise failed
        if failed is not None:
            say(f"chaosfuzz failed afterwards: {failed.text}")
        if interrupted and summary.verdict is not Verdict.VIOLATED:
            return EXIT_INTERRUPTED
        return summary.verdict.exit_code

    def _save(self) -> list[CaseSaved]:
        """Save a case for each distinct failure: the moment at which it shows most."""
        best: dict[tuple[Signature, bool], Swept] = {}
        for swept in self.swept:
            failure = swept.result.failure
            if failure is not None:
                known = best.setdefault(failure.identity, swept)
                if swept.rate.violations > known.rate.violations:
                    best[failure.identity] = swept
        reduction = Reduction(setup=self.setup, store=self.store, budget=Budget())
        return [
            reduction.save_unshrunk(Sighting(result=swept.result, rate=swept.rate))
            for swept in best.values()
        ]

    def _summary(self, saved: list[CaseSaved], failed: InfrastructureError | None) -> Summary:
        came = [s for s in self.swept if s.verdict != NEVER_CAME]
        undecided = sum(s.verdict == Verdict.UNKNOWN for s in self.swept)
        verdict = Verdict.conclude(
            violated=any(self.limits_fail or not case.case.documented for case in saved),
            failed=failed is not None,
            undecided=bool(undecided) or not came,
        )
        return Summary(
            command="sweep",
            target=self.setup.target,
            defects=self.setup.defects,
            verdict=verdict,
            seed=self.setup.seed,
            schedules=len(self.swept),
            steps=sum(s.result.steps_run for s in self.swept),
            duration_s=time.monotonic() - self.began,
            failures=tuple(_failure(case) for case in saved if not case.case.documented),
            limits=tuple(_failure(case) for case in saved if case.case.documented),
            unknown_schedules=undecided,
            faults=sum(s.result.faults for s in self.swept),
            moments_came=len(came),
            moments_never_came=len(self.swept) - len(came),
            moments=tuple(map(_moment, self.swept)),
            message=failed.text if failed else "",
        )


_STRUCK_WIDTH = 106
_ORDER = (Verdict.HOLDS, Verdict.VIOLATED, DOCUMENTED, Verdict.UNKNOWN, NEVER_CAME)


def _row(number: int, total: int, swept: Swept) -> str:
    step, failure = swept.point.step, swept.result.failure
    verdict = swept.verdict
    if failure is not None:
        word = "documented" if failure.documented else "VIOLATED"
        verdict = f"{word} {failure.signature.kind} in {swept.rate}"
    elif swept.result.undecided:
        verdict = f"unknown: {swept.result.undecided[0]}"
    struck = f"no fault: {swept.point.life}"
    if step is not None:
        held = f", {swept.point.work_ms} ms of work" if step.action == HOLD.action else ""
        struck = f"{step.action:15} {step.at}{held}"
    return f"{number:3}/{total}  {struck:<{_STRUCK_WIDTH}}  {verdict}"


def _moment(swept: Swept) -> MomentSummary:
    step, failure = swept.point.step, swept.result.failure
    moment = step.at if step is not None else None
    return MomentSummary(
        life=swept.point.life,
        action=step.action if step is not None else "",
        work_ms=swept.point.work_ms,
        moment=moment.event if moment is not None else "",
        side=moment.side.value if moment is not None else "",
        nth=moment.nth if moment is not None else 0,
        verdict=swept.verdict,
        signature=failure.signature if failure is not None else None,
        violations=swept.rate.violations,
        attempts=swept.rate.attempts,
    )


def _failure(saved: CaseSaved) -> FailureSummary:
    return FailureSummary(
        signature=saved.case.signature,
        case=str(saved.path),
        steps=len(saved.case.schedule.steps),
        original_steps=saved.original_steps,
        violations=saved.case.reproduces.violations,
        attempts=saved.case.reproduces.attempts,
        executions_to_shrink=0,
    )
