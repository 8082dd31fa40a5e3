"""`chaosfuzz docker`: the image of the bundled system's containers."""

from contextlib import closing

import click

from chaosfuzz.cli.help import Group, examples
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.image import find_or_build


@click.group(name="docker", cls=Group, epilog=examples("chaosfuzz docker build"))
def docker() -> None:
    """Build the image of the bundled system's containers."""


@docker.command(epilog=examples("chaosfuzz docker build"))
def build() -> None:
    """Build the image from the files of this machine, and print its name.

    No registry is asked. `--on docker` builds the image by itself when it is missing. The name
    follows from the content, so an image that exists is not built again. To use an image that you
    built from docker/Dockerfile, name it in CHAOSFUZZ_DOCKER_IMAGE.

    Do not publish an image that was built here: it holds files of this machine, and a label says
    so.
    """
    with closing(Engine()) as engine:
        click.echo(find_or_build(engine, lambda text: click.echo(text, err=True)))
