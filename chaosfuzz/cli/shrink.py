"""`chaosfuzz shrink`: shrink a saved case further."""

import time
from contextlib import closing
from pathlib import Path

import click

from chaosfuzz.campaign.events import CaseSaved, Event, ShrinkProgressed
from chaosfuzz.campaign.reduction import Reduction
from chaosfuzz.campaign.replay import shrink_again
from chaosfuzz.campaign.results import create_run_directory, write_results
from chaosfuzz.campaign.tally import Tally
from chaosfuzz.cases import CaseStore, resolve
from chaosfuzz.cli.help import Command, examples
from chaosfuzz.cli.interrupts import stopping
from chaosfuzz.cli.options import (
    DEFAULT_CASES,
    PLACES,
    invariants_option,
    json_option,
    out_option,
    profiles_option,
)
from chaosfuzz.cli.progress import Progress, make_console, shrinking_line
from chaosfuzz.cli.replay import check
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.reporting.description import describe_case
from chaosfuzz.reporting.eventlog import EventLog
from chaosfuzz.reporting.summary import write_json
from chaosfuzz.shrinking import Budget


@click.command(
    cls=Command,
    epilog=examples(
        "chaosfuzz shrink shrunk_cases/reference/lost-respond-before-commit.yaml --budget 600"
    ),
)
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--budget",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Run the case and its variants at most so many times.",
)
@click.option(
    "--cases",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Directory in which the result is saved. Default: that of the case.",
)
@click.option(
    "--on",
    type=click.Choice(PLACES),
    help="Run the target so. Default: as when the case was saved.",
)
@profiles_option
@invariants_option
@out_option
@json_option
def shrink(
    path: Path,
    budget: int,
    cases: Path | None,
    on: str | None,
    invariants: Path | None,
    out: Path,
    json_to: str | None,
    *,
    profiles: tuple[Path, ...],
) -> int:
    """Shrink a saved case further.

    Its failure rate is measured again, and the result is saved beside the case.

    Exit code: 0 done, 2 bad usage or file, 3 chaosfuzz failed or the case did not fail again.
    """
    case = CaseStore(DEFAULT_CASES).load(resolve([path])[0])
    setup = check(path, case, None, invariants, profiles, on)
    if cases is None:
        folder = path.resolve().parent
        cases = folder.parent if folder.name == case.target else folder
    tally = Tally(command="shrink", target=case.target, defects=case.defects, seed=setup.seed)
    reduction = Reduction(
        setup=setup, store=CaseStore(cases), budget=Budget(executions=budget), again=case
    )
    console = make_console(to_stderr=json_to == "-")
    directory = create_run_directory(out, "shrink")
    began = time.monotonic()
    stop = StopSignal()
    with (
        closing(EventLog(directory / "events.jsonl")) as log,
        stopping(stop.set),
        closing(setup.runner(0, directory / "logs", log, stop)) as runner,
        Progress(console) as progress,
    ):
        for event in shrink_again(case, reduction, runner):
            tally.observe(event)
            _show_shrinking(event, progress)
    summary = tally.summary(time.monotonic() - began)
    problem = write_results(directory, summary, tally.saved.values())
    console.print(f"results {directory}" if not problem else f"results: {problem}")
    if json_to is not None:
        write_json(summary, json_to)
    if not tally.saved:
        console.print(
            f"{path}: {case.signature} did not show again, so nothing was shrunk; see how often "
            f"it shows: chaosfuzz replay {path} --times 20"
        )
        return 3
    return 0


def _show_shrinking(event: Event, progress: Progress) -> None:
    if isinstance(event, ShrinkProgressed):
        progress.update(shrinking_line(event.progress))
    elif isinstance(event, CaseSaved):
        for line in describe_case(
            event.case,
            str(event.path),
            original_steps=event.original_steps,
            exhausted=event.exhausted,
        ):
            progress.say(line)
