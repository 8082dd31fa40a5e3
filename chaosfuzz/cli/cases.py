"""`chaosfuzz cases`: list saved cases, and give a stale one the new names of its moments."""

from contextlib import closing
from pathlib import Path

import click

from chaosfuzz.campaign.refreshing import refresh as find_names
from chaosfuzz.campaign.results import create_run_directory
from chaosfuzz.cases import CaseStore
from chaosfuzz.cli.help import Group, examples
from chaosfuzz.cli.interrupts import stopping
from chaosfuzz.cli.options import (
    DEFAULT_CASES,
    invariants_option,
    out_option,
    profiles_option,
)
from chaosfuzz.cli.replay import check
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.reporting.description import rates
from chaosfuzz.reporting.eventlog import EventLog


class _Cases(Group):
    """A group that runs its command `list` unless a command of its own is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        first = args[0] if args else ""
        if first not in {*self.commands, *ctx.help_option_names}:
            args.insert(0, "list")
        return super().parse_args(ctx, args)


@click.group(
    cls=_Cases,
    epilog=examples(
        "chaosfuzz cases",
        "chaosfuzz cases shrunk_cases",
        "chaosfuzz cases refresh shrunk_cases/reference/rerun-claim-without-lock.yaml",
    ),
)
def cases() -> None:
    """List saved cases, or refresh a stale one.

    Without a command it lists: `chaosfuzz cases [DIRECTORY]`.
    """


@cases.command("list", epilog=examples("chaosfuzz cases list", "chaosfuzz cases shrunk_cases"))
@click.argument("directory", default=DEFAULT_CASES, type=click.Path(path_type=Path))
def list_cases(directory: Path) -> int:
    """List the saved cases of a directory.

    Each is shown with its steps, how often it failed when it was saved, what a replay is expected
    to give now, and its title.
    """
    store = CaseStore(directory)
    paths = store.find()
    if not paths:
        click.echo(f"no cases in {directory}; chaosfuzz fuzz saves the failures it finds there")
        return 0
    broken = 0
    for path in paths:
        try:
            case = store.load(path)
        except UsageError as error:
            broken += 1
            click.echo(error.text, err=True)
            continue
        steps = counted(len(case.schedule.steps), "step")
        click.echo(
            f"{path}  {steps}, fails {rates(case)}, expected: {case.expect}\n    {case.title}"
        )
    return 2 if broken else 0


@cases.command(
    epilog=examples("chaosfuzz cases refresh shrunk_cases/reference/rerun-claim-without-lock.yaml")
)
@click.argument("path", metavar="CASE", type=click.Path(path_type=Path))
@click.option(
    "--moment",
    "chosen",
    multiple=True,
    metavar="NAME",
    help="The new name of a stale moment. If several are stale: once for each, in their order.",
)
@profiles_option
@invariants_option
@out_option
def refresh(
    path: Path,
    chosen: tuple[str, ...],
    profiles: tuple[Path, ...],
    invariants: Path | None,
    out: Path,
) -> int:
    """Give a stale case the new names of its moments.

    A case is stale if it strikes at a request that its target no longer makes. The command learns
    the requests that the target makes today, takes the nearest name (same verb; same statement or
    relation; most words in common), and replays the case with it. If its failure then shows
    (expect: violated) or its moments come (expect: holds), its file is changed: these names and
    nothing else.

    Exit code: 0 changed, or nothing is stale; 1 the failure does not show or the moments do not
    come, and nothing is changed; 2 bad usage or file, or you have to choose the name; 3 the
    harness failed.
    """
    store = CaseStore(DEFAULT_CASES)
    case = store.load(path)
    setup = check(path, case, None, invariants, profiles)
    directory = create_run_directory(out, "refresh")
    stop = StopSignal()
    with closing(EventLog(directory / "events.jsonl")) as log, stopping(stop.set):
        try:
            found = find_names(case, setup, chosen, directory / "logs", log, path, stop=stop)
        except UsageError as error:
            raise error.at(path) from error
    if found.judgement is None:
        click.echo(f"{path}: the target makes every request that it strikes at; nothing is stale")
        return 0
    for old, new in found.names.items():
        click.echo(f"was  {old}\nnow  {new}")
    click.echo(f"{found.judgement.standing.value}: {found.judgement.reason}")
    if not found.is_shown:
        click.echo(f"{path} is as it was; try another name: --moment NAME")
        return 1
    store.rename(path, found.names)
    click.echo(f"{path} has {counted(len(found.names), 'new name')}")
    return 0
