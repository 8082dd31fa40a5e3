"""The command tree."""

from typing import Annotated

import typer

import chaosfuzz
from chaosfuzz.cli import bench, cases, fuzz, lists, machine

app = typer.Typer(
    help="Draw work and faults, run them against a real job system, shrink what breaks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    epilog="Start with: chaosfuzz doctor, then: chaosfuzz fuzz --time 60s",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"chaosfuzz {chaosfuzz.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Draw work and faults, run them against a real job system, shrink what breaks."""


app.command("fuzz")(fuzz.fuzz)
app.command("replay")(cases.replay)
app.command("shrink")(cases.shrink)
app.command("cases")(cases.list_cases)
app.command("targets")(lists.targets)
app.command("defects")(lists.defects)
app.command("invariants")(lists.invariants)
app.command("actions")(lists.actions)
app.command("doctor")(machine.doctor)
app.command("clean")(machine.clean)
app.add_typer(bench.app, name="bench")

application = typer.main.get_command(app)
