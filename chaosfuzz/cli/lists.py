"""What there is: cases, targets, defects, invariants, actions."""

from pathlib import Path

import click

from chaosfuzz.actions import all_actions
from chaosfuzz.campaign.targets import target_names
from chaosfuzz.campaign.wiring import describe
from chaosfuzz.cases import CaseStore
from chaosfuzz.checking import default_directories, load_invariants
from chaosfuzz.cli.options import DEFAULT_CASES
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.moment import Side


@click.command(short_help="List what can be fuzzed")
def targets() -> None:
    """List the targets that can be fuzzed."""
    for name in target_names():
        click.echo(f"{name:23} {describe(name).summary}")


@click.command(short_help="List the bugs that can be planted")
@click.argument("target", default="reference")
def defects(target: str) -> None:
    """List the defects that can be planted, each with the real bug it mirrors."""
    for defect in describe(target).defects:
        click.echo(f"{defect.name}\n    {defect.summary}\n    mirrors: {defect.mirrors}")


@click.command(short_help="List what is checked")
@click.argument("directory", required=False, type=click.Path(path_type=Path))
def invariants(directory: Path | None) -> None:
    """List the invariants that are checked, built-in ones and yours."""
    for found in load_invariants(default_directories(directory)):
        when = "at the end" if found.at_end else "every step"
        click.echo(f"{found.name:26} {found.kind.value:17} {when:11} {found.summary}")


@click.command(short_help="List what schedules are made of")
def actions() -> None:
    """List the actions that schedules are made of, with their arguments.

    With `at` a step strikes at a request; chaosfuzz sweep shows which there are.
    """
    for action in all_actions():
        click.echo(f"{action.name:18} {action.role.value:6} {action.summary}")
        for p in action.parameters:
            allowed = "|".join(p.labels) if p.labels else f"{p.low}..{p.high}"
            click.echo(f"    {p.name}: {allowed} (default {p.show(p.default)}), {p.meaning}")
        if action.pinnable:
            sides = [side for side in Side if action.side in {None, side}]
            how = "has to be given" if action.needs_moment else "or when its turn comes"
            click.echo(f"    at: {{{'|'.join(sides)}: REQUEST, nth: 1, on: COMPONENT}}, {how}")


@click.command(short_help="List saved cases")
@click.argument("directory", default=DEFAULT_CASES, type=click.Path(path_type=Path))
def cases(directory: Path) -> int:
    """List saved cases: file, steps, rate when saved, what is expected now, title."""
    store = CaseStore(directory)
    paths = store.find()
    if not paths:
        click.echo(f"no cases in {directory}; chaosfuzz fuzz saves what it finds there")
        return 0
    broken = 0
    for path in paths:
        try:
            case = store.load(path)
        except UsageError as error:
            broken += 1
            click.echo(error.text, err=True)
            continue
        steps = len(case.schedule.steps)
        click.echo(
            f"{path}  {steps} step{'s' if steps != 1 else ''}, fails {case.reproduces}, "
            f"expected: {case.expect}\n    {case.title}"
        )
    return 2 if broken else 0
