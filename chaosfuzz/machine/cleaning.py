"""Finds and removes what dead runs left behind; never anything of a run that is alive."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.domain.errors import ChaosfuzzError, UsageError
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.leftovers import (
    EngineLeftover,
    engine_or_none,
    find_engine_leftovers,
    remove_engine_leftover,
)
from chaosfuzz.targets.postgres import Leftover, find_leftovers, remove_leftover

SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, kw_only=True)
class Removal:
    """One leftover and what became of it; `problem` is empty if nothing hindered its removal.

    `path` is that of a directory, or kind and name of something at the Docker engine.
    """

    path: Path | str
    what: str
    pids: tuple[int, ...]
    removed: bool
    problem: str = ""


def places(more: Sequence[Path]) -> tuple[Path, ...]:
    """Return where runs keep their runtime directories: these, and the temporary directories named.

    Raises:
        UsageError: one of them is no directory.

    """
    for directory in more:
        if not directory.is_dir():
            raise UsageError(
                cause=f"{directory} is no directory", remedy="name the TMPDIR of the run that died"
            )
    return (SHARED_MEMORY, Path(tempfile.gettempdir()), *(path.resolve() for path in more))


def clean_all(roots: Iterable[Path], *, dry_run: bool) -> Iterator[Removal]:
    """Yield all that dead runs left after its removal, or instead of it.

    The engine is looked at again once nobody is left who might have added to it.
    """
    yield from clean_engine(dry_run=dry_run)
    yield from clean(roots, dry_run=dry_run)
    if not dry_run:
        yield from clean_engine(dry_run=False)


def clean(roots: Iterable[Path], *, dry_run: bool) -> Iterator[Removal]:
    """Yield each leftover after its removal (with `dry_run`, instead of it)."""
    for leftover in find_leftovers(roots):
        problem = "" if dry_run else _remove(leftover)
        yield Removal(
            path=leftover.path,
            what=describe(leftover),
            pids=leftover.pids,
            removed=not dry_run and not problem,
            problem=problem,
        )


def clean_engine(*, dry_run: bool) -> Iterator[Removal]:
    """Yield what dead runs left at the Docker engine, if there is one, after its removal."""
    engine = engine_or_none()
    if engine is None:
        return
    with closing(engine):
        for leftover in find_engine_leftovers(engine):
            problem = "" if dry_run else _remove_from(engine, leftover)
            owner = leftover.owner
            yield Removal(
                path=f"{leftover.thing.kind} {leftover.thing.name}",
                what=f"{owner.what} of run {owner.pid}, {owner.created}",
                pids=(),
                removed=not dry_run and not problem,
                problem=problem,
            )


def _remove_from(engine: Engine, leftover: EngineLeftover) -> str:
    try:
        remove_engine_leftover(engine, leftover)
    except ChaosfuzzError as error:
        return f"{error.cause}; {error.remedy}"
    return ""


def describe(leftover: Leftover) -> str:
    """Say whose leftover it is."""
    if leftover.manifest is None:
        return "made by a run that was killed at once"
    return f"{leftover.manifest.what} of run {leftover.manifest.pid}, {leftover.manifest.created}"


def _remove(leftover: Leftover) -> str:
    try:
        remove_leftover(leftover)
    except ChaosfuzzError as error:
        return f"{error.cause}; {error.remedy}"
    # A process that was just killed may have been writing while the tree was taken down.
    shutil.rmtree(leftover.path, ignore_errors=True)
    return f"{leftover.path} is still there; remove it by hand" if leftover.path.exists() else ""
