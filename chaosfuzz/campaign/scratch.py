"""Directories for what nobody keeps, that `chaosfuzz clean` finds if their owner is killed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaosfuzz.targets.postgres import create_runtime_directory


@contextmanager
def scratch_directory(what: str) -> Iterator[Path]:
    """Make a directory marked with this process, and remove it at the end.

    Raises:
        InfrastructureError: it cannot be made.

    """
    directory = create_runtime_directory(what)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
