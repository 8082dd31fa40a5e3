"""Finds and removes the runtime directories that a killed chaosfuzz left, and no others."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.keeper.process_tree import PROC, all_pids, descendants_of, kill_verified
from chaosfuzz.targets.postgres.runtime_directory import (
    MANIFEST_NAME,
    PREFIX,
    Manifest,
    is_unfinished,
    read_manifest,
)
from chaosfuzz.targets.postgres.shared_memory import postmaster_lines, remove_shared_memory

# Chosen by hand.
_END_TIMEOUT_S = 10.0
_OTHER_REMOVER_TIMEOUT_S = 30.0
# Programs that live on as orphans: backends of a dead postmaster, and a running compose.
_ORPHANS = {"postgres", "docker", "docker-compose"}


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A runtime directory whose owner is dead, and the pids of the processes that work in it.

    Without a manifest the directory is empty: its owner died while making it.
    """

    path: Path
    manifest: Manifest | None
    pids: tuple[int, ...]


def find_leftovers(roots: Iterable[Path] | None = None) -> tuple[Leftover, ...]:
    """Return this user's runtime directories whose owner is dead.

    They are looked for in `roots`, by default /dev/shm and the temporary directory.
    """
    searched = (Path("/dev/shm"), Path(tempfile.gettempdir())) if roots is None else roots
    found = []
    for root in dict.fromkeys(searched):
        for path in sorted(root.glob(PREFIX + "*")):
            if _is_leftover(path):
                manifest = read_manifest(path)
                found.append(Leftover(path=path, manifest=manifest, pids=processes_in(path)))
    return tuple(found)


def remove_leftover(leftover: Leftover) -> None:
    """Kill the processes that work in the directory; remove its shared memory and itself.

    Does nothing if the directory is gone. Raises UsageError if it is no leftover, because its
    owner lives or it has no valid manifest. Raises InfrastructureError if a process survives or a
    file cannot be removed.
    """
    path = leftover.path
    try:
        with _locked_for_removal(path):
            if not _is_leftover(path):
                if path.exists():
                    raise _not_ours(path)
                return
            owner = f"a process in {path}"
            pids = processes_in(path)
            kill_verified(pids, lambda pid: _works_in(pid, path), owner, _END_TIMEOUT_S)
            for lock in path.rglob("postmaster.pid"):
                remove_shared_memory(lock.parent)
            try:
                _remove_tree(path)
            except OSError as error:
                raise InfrastructureError(
                    cause=f"cannot remove {path}: {error}", remedy="remove it by hand"
                ) from error
    except FileNotFoundError:
        return


@contextlib.contextmanager
def _locked_for_removal(path: Path) -> Iterator[None]:
    """Hold a lock on the directory, so that one process at a time removes it.

    Raises FileNotFoundError if the directory is gone, UsageError if it cannot be opened or is no
    directory, and InfrastructureError if another process holds the lock for 30 s.
    """
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _not_ours(path) from error
    try:
        deadline = time.monotonic() + _OTHER_REMOVER_TIMEOUT_S
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > deadline:
                held_s = f"{_OTHER_REMOVER_TIMEOUT_S:g} s"
                raise InfrastructureError(
                    cause=f"another chaosfuzz command has been removing {path} for over {held_s}",
                    remedy=f"find it with fuser -v {path}, end it and try again",
                )
            time.sleep(0.02)
        yield
    finally:
        os.close(directory)


def _not_ours(path: Path) -> UsageError:
    return UsageError(
        cause=f"{path} is in use or was not made by chaosfuzz, so it is left alone",
        remedy="end the run that uses it, or remove it by hand if it is not needed",
    )


def _remove_tree(path: Path) -> None:
    # The manifest is removed last, so that a killed removal leaves a leftover.
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != MANIFEST_NAME:
            entry.unlink()
    shutil.rmtree(path)


def _is_leftover(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    # Other users can write to these roots too, and put any owner into a manifest.
    if path.is_symlink() or not path.is_dir() or status.st_uid != os.geteuid():
        return False
    manifest = read_manifest(path)
    return is_unfinished(path) if manifest is None else manifest.owner_is_gone()


def processes_in(path: Path) -> tuple[int, ...]:
    """Return the sorted pids of PostgreSQL and docker compose that work in a directory.

    Such a process has its working directory there, or an argument that is a path in it.
    """
    suspects: set[int] = set()
    for lock in path.rglob("postmaster.pid"):
        with contextlib.suppress(IndexError, ValueError):
            pid = int(postmaster_lines(lock.parent)[0])
            if pid > 1:
                suspects.update((pid, *descendants_of(pid)))
    suspects.update(pid for pid in all_pids() if _program(pid) in _ORPHANS)
    return tuple(sorted(pid for pid in suspects if _works_in(pid, path)))


def _works_in(pid: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        if (PROC / str(pid) / "cwd").readlink().is_relative_to(path):
            return True
    with contextlib.suppress(OSError):
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        return any(Path(os.fsdecode(word)).is_relative_to(path) for word in words)
    return False


def _program(pid: int) -> str | None:
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "exe").readlink().name.removesuffix(" (deleted)")
    return None
