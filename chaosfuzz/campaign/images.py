"""The image that containers of the reference system are made of."""

from collections.abc import Callable
from contextlib import closing

from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.image import find_or_build


def build_image(say: Callable[[str], None]) -> str:
    """Build the image if it is not there; return its name.

    Raises:
        InfrastructureError: no engine answers, or the image cannot be built.

    """
    with closing(Engine()) as engine:
        return find_or_build(engine, say)
