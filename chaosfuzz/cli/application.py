"""The command tree."""

import functools
from collections.abc import Callable
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



def _exiting(command: Callable[..., int | None]) -> Callable[..., None]:
    """Turn the code that a command returns into the exit code."""

    @functools.wraps(command)
    def run(*args: object, **kwargs: object) -> None:
        raise typer.Exit(command(*args, **kwargs) or 0)

    return run


app.command("fuzz")(_exiting(fuzz.fuzz))
app.command("replay")(_exiting(cases.replay))
app.command("shrink")(_exiting(cases.shrink))
app.command("cases")(_exiting(cases.list_cases))
app.command("targets")(_exiting(lists.targets))
app.command("defects")(_exiting(lists.defects))
app.command("invariants")(_exiting(lists.invariants))
app.command("actions")(_exiting(lists.actions))
app.command("doctor")(_exiting(machine.doctor))
app.command("clean")(_exiting(machine.clean))
app.add_typer(bench.app, name="bench")

application = typer.main.get_command(app)
