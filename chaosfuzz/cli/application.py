"""The command tree. A command's module is imported when the command is wanted."""

from importlib import import_module

import click

import chaosfuzz
from chaosfuzz.cli.help import Group, examples, write_commands

# The help's headings, and under each the commands: the module here, and the command in it.
_SECTIONS = {
    "Search for broken promises": {
        "fuzz": "fuzz.fuzz",
        "sweep": "sweep.sweep",
        "scenario": "scenario.scenario",
    },
    "Saved cases": {
        "replay": "replay.replay",
        "shrink": "shrink.shrink",
        "cases": "cases.cases",
    },
    "Your own system": {
        "profile": "profile.profile",
    },
    "What there is": {
        "targets": "lists.targets",
        "defects": "lists.defects",
        "invariants": "lists.invariants",
        "actions": "lists.actions",
    },
    "The bundled system by hand": {
        "up": "standing.up",
        "down": "standing.down",
        "check-api": "checks.check_api_command",
        "auth": "tasks.auth",
        "flood": "flooding.flood",
        "watch": "tasks.watch",
        "service": "services.service",
        "workers": "workers.workers",
        "admin": "admin.admin",
    },
    "This machine": {
        "doctor": "machine.doctor",
        "clean": "machine.clean",
        "docker": "images.docker",
        "bench": "bench.bench",
    },
}
_COMMANDS = {name: where for section in _SECTIONS.values() for name, where in section.items()}
_START = (
    ("chaosfuzz doctor", "check what this machine lacks"),
    ("chaosfuzz fuzz", "search for a schedule that breaks a promise"),
    ("chaosfuzz replay CASE", "run a saved schedule again"),
    ("chaosfuzz profile new FILE", "describe your own queue, then: fuzz FILE"),
    ("chaosfuzz sweep FILE", "strike at every request of a task's life"),
)


class _Commands(Group):
    """Finds commands in the table: importing them all would take longer than most of them do."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name].split(".")
        command = getattr(import_module(f"chaosfuzz.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what chaosfuzz does, and the five commands to start with."""
        super().format_help_text(ctx, formatter)
        with formatter.section("Start here"):
            formatter.write_dl(_START)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write all commands under headings."""
        write_commands(
            self, ctx, formatter, {heading: list(names) for heading, names in _SECTIONS.items()}
        )


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples("chaosfuzz fuzz --defect ack-before-run"),
)
@click.version_option(chaosfuzz.__version__, prog_name="chaosfuzz")
def application() -> None:
    """Find schedules of work and faults that make a job queue break its promises.

    chaosfuzz creates tasks, kills workers, stops the database and cuts connections, on a real
    system, in many different orders. It checks after every step that no task was lost or repeated
    without cause, and at the end that none is left undone. A schedule that fails is shrunk to a
    short one that still fails.
    """
