"""`chaosfuzz fuzz`: search for a schedule that breaks a promise, shrink it and save it."""

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import click

from chaosfuzz.campaign.events import (
    CaseSaved,
    DocumentedLimitKnown,
    Event,
    FailureFound,
    Learned,
    ScheduleDone,
    ShrinkProgressed,
)
from chaosfuzz.campaign.fuzz import FuzzCampaign, FuzzPlan
from chaosfuzz.campaign.reduction import Reduction
from chaosfuzz.campaign.results import create_run_directory, write_results
from chaosfuzz.campaign.tally import Tally
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cases import CaseStore
from chaosfuzz.cli.help import Command, Sections, examples
from chaosfuzz.cli.interrupts import EXIT_INTERRUPTED, stopping
from chaosfuzz.cli.options import (
    PLACES,
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
    pick_seed,
    read_duration,
)
from chaosfuzz.cli.progress import Progress, clock, make_console, shrinking_line
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.planning import Moments
from chaosfuzz.reporting.description import describe_case, describe_schedule
from chaosfuzz.reporting.eventlog import EventLog
from chaosfuzz.reporting.summary import write_json
from chaosfuzz.shrinking import Budget
from chaosfuzz.targets.registry import DEFAULT_TARGET

DEFAULT_TIME_S = 60.0


# After a search this long, the next search takes twice as long; after a shorter one, this long.
# Chosen by hand.
LONG_SEARCH_S = 600.0


class _FuzzCommand(Command):
    sections: ClassVar[Sections] = {
        "What to test": ("defects", "contract", "invariants", "only"),
        "How long": ("time_text", "examples", "steps", "seed"),
        "Faults": ("no_faults", "moments"),
        "Where to run": ("on", "shrink_on", "lanes"),
        "Output": ("cases", "out", "json_to", "no_shrink", "limits_fail"),
    }


@click.command(
    cls=_FuzzCommand,
    epilog=examples(
        "chaosfuzz fuzz --time 10m",
        "chaosfuzz fuzz --defect claim-without-lock --seed 7",
        "chaosfuzz fuzz mysystem.toml --no-faults --examples 50",
        "chaosfuzz fuzz simulated --examples 5000",
        "chaosfuzz fuzz --on docker --shrink-on process",
    ),
)
@click.argument("target", default=DEFAULT_TARGET)
@click.option("--examples", type=click.IntRange(min=1), help="Run at most so many schedules.")
@click.option(
    "--time",
    "time_text",
    metavar="TIME",
    help="Search so long: 60s, 10m, 8h. Default: 60s. Shrinking takes up to 5 minutes more.",
)
@click.option(
    "--steps",
    type=click.IntRange(1, 200),
    default=15,
    show_default=True,
    help="Draw schedules of at most so many steps.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Draw the same schedules again. Default: a random seed, printed.",
)
@on_option
@click.option(
    "--shrink-on",
    type=click.Choice(PLACES),
    help="Shrink so, which is faster, and confirm the result as given by --on.",
)
@defects_option
@contract_option
@lanes_option
@click.option(
    "--moments",
    type=click.Choice([m.value for m in Moments]),
    default=Moments.BOTH.value,
    show_default=True,
    help="Strike at a database request (logical), at a time (clock), or either (both).",
)
@invariants_option
@click.option(
    "--invariant",
    "only",
    multiple=True,
    metavar="NAME",
    help="Check only this invariant (repeatable). See: chaosfuzz invariants",
)
@cases_option
@out_option
@json_option
@limits_option
@click.option(
    "--no-faults", is_flag=True, help="Draw only work and waits: a healthy system must pass."
)
@click.option(
    "--no-shrink", is_flag=True, help="Save the failing schedule as it was found, unshrunk."
)
def fuzz(
    target: str,
    examples: int | None,
    time_text: str | None,
    steps: int,
    seed: int | None,
    on: str,
    shrink_on: str | None,
    defects: tuple[str, ...],
    contract: str,
    lanes: int | None,
    moments: str,
    invariants: Path | None,
    only: tuple[str, ...],
    cases: Path,
    out: Path,
    json_to: str | None,
    no_shrink: bool,
    *,
    limits_fail: bool,
    no_faults: bool,
) -> int:
    """Search for a schedule of work and faults that breaks a promise.

    A schedule creates, cancels and retries tasks; kills, pauses and restarts workers and server;
    stops the database; cuts connections. Each schedule runs on a real system. The first that
    breaks a promise is shrunk to a short one that still does, and saved as a case.

    TARGET is a name that `chaosfuzz targets` lists, or the path of a profile of your own. Default:
    reference, the bundled queue.

    Exit code: 0 no promise was broken, 1 one was, 2 bad usage, 3 chaosfuzz failed or could not
    decide.
    """
    setup = Setup(
        target=target,
        on=on,
        defects=tuple(dict.fromkeys(defects)),
        mode=contract,
        seed=pick_seed(seed),
        invariants=invariants,
        only=only,
    )
    setup.check()
    time_s = read_duration(time_text) if time_text is not None else None
    if time_s is None and examples is None:
        time_s = DEFAULT_TIME_S
    out_directory = create_run_directory(out, "fuzz")
    plan = FuzzPlan(
        setup=setup,
        examples=examples,
        time_s=time_s,
        max_steps=steps,
        lanes=lanes if lanes is not None else default_lanes(),
        reduction=Reduction(
            setup=setup, store=CaseStore(cases), budget=Budget(), shrink=not no_shrink
        ),
        out=out_directory,
        moments=Moments(moments),
        shrink_on=replace(setup, on=shrink_on) if shrink_on not in {None, on} else None,
        faults=not no_faults,
    )
    return _Session(plan, json_to, limits_fail=limits_fail).run()


_MEANING = {
    Verdict.HOLDS: "no promise was broken;",
    Verdict.VIOLATED: "a promise was broken;",
    Verdict.UNKNOWN: "some schedules could not be decided;",
    Verdict.INFRASTRUCTURE: "chaosfuzz could not go on;",
}


class _Session:
    """One invocation: run the campaign, show its events, write the results."""

    def __init__(self, plan: FuzzPlan, json_to: str | None, *, limits_fail: bool) -> None:
        self.plan = plan
        self.json_to = json_to
        self.console = make_console(to_stderr=json_to == "-")
        setup = plan.setup
        self.tally = Tally(
            command="fuzz",
            target=setup.description.name,
            defects=setup.defects,
            seed=setup.seed,
            limits_fail=limits_fail,
        )
        self.began = time.monotonic()

    def run(self) -> int:
        """Run to the end and return the exit code."""
        setup = self.plan.setup
        planted = "".join(f" with {name}" for name in setup.defects)
        self.console.print(
            f"fuzzing {setup.place}{planted}, seed {setup.seed}, "
            f"{counted(self.plan.lanes, 'lane')}, {self._limits()}"
        )
        failed: InfrastructureError | None = None
        log = EventLog(self.plan.out / "events.jsonl")
        campaign = FuzzCampaign(self.plan, log)
        with closing(log), stopping(campaign.stop) as interrupts:
            try:
                with Progress(self.console) as progress:
                    for event in campaign.run():
                        self.tally.observe(event)
                        self._show(event, progress)
            except InfrastructureError as error:
                failed = error
        return self._finish(failed, interrupted=interrupts.seen)

    def _limits(self) -> str:
        limits = []
        if self.plan.time_s is not None:
            limits.append(f"for {clock(self.plan.time_s)}")
        if self.plan.examples is not None:
            limits.append(f"at most {counted(self.plan.examples, 'schedule')}")
        return ", ".join(limits)

    def _show(self, event: Event, progress: Progress) -> None:
        if isinstance(event, Learned):
            kinds = counted(len(event.alphabet.events), "kind")
            background = sum(e.background for e in event.alphabet.events)
            progress.say(f"learned {kinds} of database requests, {background} of them background")
        elif isinstance(event, ShrinkProgressed):
            progress.update(shrinking_line(event.progress))
        elif isinstance(event, FailureFound):
            self._show_failure(event, progress)
        elif isinstance(event, DocumentedLimitKnown):
            self._show_known(event, progress)
        elif isinstance(event, CaseSaved):
            self._show_case(event, progress)
        else:
            elapsed_s = time.monotonic() - self.began
            progress.update(self._status(elapsed_s))
            if isinstance(event, ScheduleDone) and event.result.undecided:
                progress.say(f"undecided: {event.result.undecided[0]}", style="yellow")

    def _show_known(self, event: DocumentedLimitKnown, progress: Progress) -> None:
        kind = event.failure.signature.kind
        text = f"documented limit {kind}, already saved as {event.path}: {event.failure.message}"
        progress.say(text, style="yellow")
        progress.say(f"source  {event.failure.documented}")
        for line in describe_schedule(event.case):
            progress.say(line)

    def _show_failure(self, event: FailureFound, progress: Progress) -> None:
        failure = event.failure
        what = f"{failure.signature.invariant} ({failure.signature.kind})"
        if failure.documented:
            text = f"documented limit: {what} in {event.rate} runs: {failure.message}"
            progress.say(text, style="yellow")
            progress.say(f"source  {failure.documented}")
            return
        text = f"schedule {self.tally.schedules} broke {what} in {event.rate} runs"
        progress.say(f"{text}: {failure.message}", style="bold red")

    def _status(self, elapsed_s: float) -> str:
        tally = self.tally
        rate = 60 * tally.schedules / elapsed_s if elapsed_s else 0.0
        parts = [
            counted(tally.schedules, "schedule"),
            f"{rate:.0f}/min",
            counted(tally.faults, "fault"),
            counted(len(tally.states), "state"),
        ]
        if tally.moments_came or tally.moments_never_came:
            waited = tally.moments_came + tally.moments_never_came
            parts.append(f"{tally.moments_came} of {counted(waited, 'moment')} came")
        if tally.undecided:
            parts.append(f"{tally.undecided} undecided")
        if self.plan.time_s is not None:
            parts.append(f"{clock(self.plan.time_s - elapsed_s)} left")
        elif self.plan.examples is not None:
            parts.append(f"{self.plan.examples - tally.schedules} to go")
        return " · ".join(parts)

    def _show_case(self, saved: CaseSaved, progress: Progress) -> None:
        lines = describe_case(
            saved.case,
            str(saved.path),
            original_steps=saved.original_steps,
            exhausted=saved.exhausted,
        )
        progress.say("")
        progress.say(lines[0], style="yellow" if saved.case.documented else "bold red")
        for line in lines[1:]:
            progress.say(line)
        if saved.others:
            progress.say(f"also seen while shrinking: {', '.join(map(str, saved.others))}")

    def _finish(self, failed: InfrastructureError | None, *, interrupted: bool) -> int:
        summary = self.tally.summary(time.monotonic() - self.began, failed)
        console = self.console
        if summary.message and failed is None:
            console.print(f"undecided because: {summary.message}")
        problem = write_results(self.plan.out, summary, self.tally.saved.values())
        console.print(f"results {self.plan.out}" if not problem else f"results: {problem}")
        counts = (
            counted(summary.schedules, "schedule"),
            counted(summary.steps, "step"),
            counted(summary.faults, "fault"),
            counted(summary.states_seen, "state"),
        )
        console.print(
            f"{summary.verdict}: {_MEANING[summary.verdict]} {', '.join(counts)} in "
            f"{clock(summary.duration_s)}"
            + (f", {summary.unknown_schedules} undecided" if summary.unknown_schedules else "")
            + (", interrupted" if interrupted else "")
        )
        if summary.verdict is Verdict.HOLDS and not interrupted:
            console.print(f"next    {self._next_command()}")
        if self.json_to is not None:
            write_json(summary, self.json_to)
        if failed is not None and not self.tally.broken:
            raise failed
        if failed is not None:
            console.print(f"chaosfuzz failed afterwards: {failed.text}")
        if interrupted and summary.verdict is not Verdict.VIOLATED:
            return EXIT_INTERRUPTED
        return summary.verdict.exit_code

    def _next_command(self) -> str:
        """Return a command line that searches on where this search found nothing."""
        plan, setup = self.plan, self.plan.setup
        place = [f"--on {setup.on}"] if setup.on != PLACES[0] else []
        words = ["chaosfuzz fuzz", setup.target, *place]
        words += [f"--defect {name}" for name in setup.defects]
        if not plan.faults or (plan.time_s or 0.0) < LONG_SEARCH_S:
            return " ".join([*words, f"--time {LONG_SEARCH_S / 60:.0f}m"])
        return " ".join([*words, f"--time {round(2 * (plan.time_s or 0.0) / 60)}m"])
