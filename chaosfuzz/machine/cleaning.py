"""Removes what dead runs left on this machine. Runs that are alive are not touched."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError, UsageError
from chaosfuzz.targets.docker.leftovers import (
    engine_or_none,
    find_engine_leftovers,
    remove_engine_leftover,
)
from chaosfuzz.targets.postgres import Leftover, find_leftovers, remove_leftover

SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, kw_only=True)
class Removal:
    """A leftover, and whether it was removed.

    `path` is a directory, or the kind and name of an object of the Docker engine. `origin` names
    the run that made it. `pids` are its processes that still lived. `problem` says why the removal
    failed, and what to do; it is empty if nothing failed.
    """

    path: Path | str
    origin: str
    pids: tuple[int, ...]
    removed: bool
    problem: str = ""


def places(more: Sequence[Path]) -> tuple[Path, ...]:
    """Return the directories that may hold runtime directories of runs; `more` adds to them.

    Raises UsageError if an element of `more` is no directory.
    """
    for directory in more:
        if not directory.is_dir():
            raise UsageError(
                cause=f"--dir {directory} is no directory",
                remedy="give the directory that was TMPDIR of the killed run",
            )
    return (SHARED_MEMORY, Path(tempfile.gettempdir()), *(path.resolve() for path in more))


def clean_all(roots: Iterable[Path], *, dry_run: bool) -> Iterator[Removal]:
    """Remove what dead runs left, and yield each leftover; with `dry_run` remove nothing.

    Directories and processes of dead runs are looked for below `roots`. The Docker engine is
    looked at again afterwards, as these processes may have added to it.
    """
    yield from clean_engine(dry_run=dry_run)
    yield from clean(roots, dry_run=dry_run)
    if not dry_run:
        yield from clean_engine(dry_run=False)


def clean(roots: Iterable[Path], *, dry_run: bool) -> Iterator[Removal]:
    """Remove directories and processes of dead runs; yield each leftover."""
    for leftover in find_leftovers(roots):
        owner = leftover.manifest
        origin = "made by a run that was killed before it could leave its name"
        if owner is not None:
            origin = f"{owner.what} of run {owner.pid}, {owner.created}"
        yield _remove(
            leftover.path, origin, leftover.pids, None if dry_run else partial(_delete, leftover)
        )


def clean_engine(*, dry_run: bool) -> Iterator[Removal]:
    """Remove objects of dead runs from the Docker engine, if there is one; yield each."""
    engine = engine_or_none()
    if engine is None:
        return
    with closing(engine):
        for leftover, owner in find_engine_leftovers(engine):
            origin = f"{owner.what} of run {owner.pid}, {owner.created}"
            delete = partial(remove_engine_leftover, engine, leftover)
            yield _remove(
                f"{leftover.kind} {leftover.name}", origin, (), None if dry_run else delete
            )


def _remove(
    path: Path | str, origin: str, pids: tuple[int, ...], delete: Callable[[], object] | None
) -> Removal:
    """Call `delete` and return how it ended; None removes nothing."""
    problem = ""
    try:
        if delete is not None:
            delete()
    except ChaosfuzzError as error:
        problem = f"{error.cause}; {error.remedy}"
    removed = delete is not None and not problem
    return Removal(path=path, origin=origin, pids=pids, removed=removed, problem=problem)


def _delete(leftover: Leftover) -> None:
    remove_leftover(leftover)
    # A process may have written until it was killed, while its tree was being removed.
    shutil.rmtree(leftover.path, ignore_errors=True)
    if leftover.path.exists():
        raise InfrastructureError(
            cause=f"{leftover.path} is still there", remedy="remove it by hand"
        )
