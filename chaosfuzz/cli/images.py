"""`chaosfuzz docker`: the images of containers."""

import click

from chaosfuzz.targets.docker.image import build_image


@click.group(name="docker", short_help="The image of the bundled system's containers")
def docker() -> None:
    """Look after the image of the bundled system's containers."""


@docker.command()
def build() -> None:
    """Build the image from what this machine has, without a registry; print its name.

    `--on docker` does so by itself. The name follows from the content: what is there already is
    not built again. CHAOSFUZZ_DOCKER_IMAGE names one that you have built from docker/Dockerfile.
    Images built here hold files of this machine; they are labelled so, and not to be published.
    """
    name = build_image(lambda text: click.echo(text, err=True))
    click.echo(name)
