"""What there is: targets, defects, invariants, actions."""

import typer

from chaosfuzz.campaign.wiring import TARGETS, describe
from chaosfuzz.checking import default_directories, load_invariants
from chaosfuzz.cli.options import Invariants
from chaosfuzz.domain.action import CATALOGUE


def targets() -> None:
    """List the targets that can be fuzzed."""
    for name in TARGETS:
        typer.echo(f"{name:12} {describe(name).summary}")


def defects(target: str = typer.Argument("reference", help="Whose defects.")) -> None:
    """List the defects that can be planted, each with the real bug it mirrors."""
    for defect in describe(target).defects:
        typer.echo(f"{defect.name}\n    {defect.summary}\n    mirrors: {defect.mirrors}")


def invariants(directory: Invariants = None) -> None:
    """List the invariants that are checked, built-in ones and yours."""
    for found in load_invariants(default_directories(directory)):
        when = "at the end" if found.at_end else "every step"
        typer.echo(f"{found.name:26} {found.kind.value:17} {when:11} {found.summary}")


def actions() -> None:
    """List the actions that schedules are made of, with their arguments."""
    for action in CATALOGUE:
        typer.echo(f"{action.name:18} {action.role.value:6} {action.summary}")
        for p in action.parameters:
            allowed = "|".join(p.labels) if p.labels else f"{p.low}..{p.high}"
            typer.echo(f"    {p.name}: {allowed} (default {p.show(p.default)}), {p.meaning}")
