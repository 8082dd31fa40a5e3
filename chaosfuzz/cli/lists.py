"""What there is: targets, defects, invariants, actions."""

from pathlib import Path

import click

from chaosfuzz.campaign.wiring import TARGETS, describe
from chaosfuzz.checking import default_directories, load_invariants
from chaosfuzz.domain.action import CATALOGUE


@click.command(short_help="List what can be fuzzed")
def targets() -> None:
    """List the targets that can be fuzzed."""
    for name in TARGETS:
        click.echo(f"{name:12} {describe(name).summary}")


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
    """List the actions that schedules are made of, with their arguments."""
    for action in CATALOGUE:
        click.echo(f"{action.name:18} {action.role.value:6} {action.summary}")
        for p in action.parameters:
            allowed = "|".join(p.labels) if p.labels else f"{p.low}..{p.high}"
            click.echo(f"    {p.name}: {allowed} (default {p.show(p.default)}), {p.meaning}")
