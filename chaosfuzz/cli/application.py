"""The command tree."""

import click

import chaosfuzz
from chaosfuzz.cli import bench, fuzz, lists, machine, replay, shrink, sweep


class _InOrder(click.Group):
    """Lists commands in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: chaosfuzz doctor, then: chaosfuzz fuzz",
)
@click.version_option(chaosfuzz.__version__, prog_name="chaosfuzz")
def application() -> None:
    """Draw work and faults, run them against a real job system, shrink what breaks."""


for command in (
    fuzz.fuzz,
    sweep.sweep,
    replay.replay,
    shrink.shrink,
    lists.cases,
    lists.targets,
    lists.defects,
    lists.invariants,
    lists.actions,
    machine.doctor,
    machine.clean,
    bench.bench,
):
    application.add_command(command)
