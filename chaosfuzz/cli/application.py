"""The command tree. A command's module is imported when the command is wanted."""

from importlib import import_module

import click

import chaosfuzz

# In the order in which one needs them: the module here, and the command in it.
_COMMANDS = {
    "fuzz": "fuzz.fuzz",
    "sweep": "sweep.sweep",
    "replay": "replay.replay",
    "shrink": "shrink.shrink",
    "scenario": "scenario.scenario",
    "profile": "profile.profile",
    "cases": "lists.cases",
    "targets": "lists.targets",
    "defects": "lists.defects",
    "invariants": "lists.invariants",
    "actions": "lists.actions",
    "up": "standing.up",
    "down": "standing.down",
    "check-api": "checks.check_api_command",
    "auth": "tasks.auth",
    "flood": "flooding.flood",
    "watch": "tasks.watch",
    "service": "services.service",
    "workers": "workers.workers",
    "admin": "admin.admin",
    "doctor": "machine.doctor",
    "clean": "machine.clean",
    "docker": "images.docker",
    "bench": "bench.bench",
}


class _Commands(click.Group):
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


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: chaosfuzz doctor, then: chaosfuzz fuzz",
)
@click.version_option(chaosfuzz.__version__, prog_name="chaosfuzz")
def application() -> None:
    """Draw work and faults, run them against a real job system, shrink what breaks."""
