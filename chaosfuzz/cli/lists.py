"""The commands that list targets, defects, invariants and actions."""

from pathlib import Path

import click

from chaosfuzz.actions import all_actions
from chaosfuzz.checking import default_directories, load_invariants
from chaosfuzz.cli.help import Command, examples
from chaosfuzz.domain.moment import Side
from chaosfuzz.targets.registry import DEFAULT_TARGET, describe, target_names


@click.command(cls=Command, epilog=examples("chaosfuzz targets"))
def targets() -> None:
    """List the systems that can be fuzzed by name.

    A profile of your own is named by its path: chaosfuzz profile --help.
    """
    for name in target_names():
        click.echo(f"{name:23} {describe(name).summary}")


@click.command(cls=Command, epilog=examples("chaosfuzz defects", "chaosfuzz defects simulated"))
@click.argument("target", default=DEFAULT_TARGET)
def defects(target: str) -> None:
    """List the defects that can be planted in a target.

    Each is shown with the real bug that it mirrors. Plant one with: chaosfuzz fuzz --defect NAME
    """
    for defect in describe(target).defects:
        click.echo(f"{defect.name}\n    {defect.summary}\n    mirrors: {defect.mirrors}")


@click.command(cls=Command, epilog=examples("chaosfuzz invariants"))
@click.argument("directory", required=False, type=click.Path(path_type=Path))
def invariants(directory: Path | None) -> None:
    """List the invariants that are checked, built-in ones and yours.

    Yours are the files of DIRECTORY; default: ./invariants, if there is one.
    """
    for found in load_invariants(default_directories(directory)):
        when = "at the end" if found.at_end else "every step"
        click.echo(f"{found.name:26} {found.kind.value:17} {when:11} {found.summary}")


@click.command(cls=Command, epilog=examples("chaosfuzz actions"))
def actions() -> None:
    """List the actions that schedules are made of.

    Each is shown with its arguments. An action with `at` can be pinned to a database request;
    `chaosfuzz sweep` lists the requests of a target.
    """
    for action in all_actions():
        click.echo(f"{action.name:18} {action.role.value:6} {action.summary}")
        for p in action.parameters:
            allowed = "|".join(p.labels) if p.labels else f"{p.low}..{p.high}"
            click.echo(f"    {p.name}: {allowed} (default {p.show(p.default)}), {p.meaning}")
        if action.pinnable:
            sides = [side for side in Side if action.side in {None, side}]
            how = "required" if action.needs_moment else "optional"
            click.echo(f"    at: {{{'|'.join(sides)}: REQUEST, nth: 1, on: COMPONENT}}, {how}")
