"""What a killed chaosfuzz left behind, and its removal: only what is provably its own."""

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.keeper.process_tree import PROC, Pidfds, all_pids, descendants_of
from chaosfuzz.targets.postgres.runtime_directory import (
    MANIFEST_NAME,
    PREFIX,
    Manifest,
    is_unfinished,
    read_manifest,
)
from chaosfuzz.targets.postgres.shared_memory import postmaster_pid, remove_shared_memory

_END_TIMEOUT_S = 10.0
_OTHER_REMOVER_TIMEOUT_S = 30.0
# Backends whose postmaster has died are nobody's descendants any more, and compose goes on.
_ORPHANS = {"postgres", "docker", "docker-compose"}


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A runtime directory whose owner is dead, and the processes still working in it.

    Without a manifest it is empty: its owner died while making it.
    """

    path: Path
    manifest: Manifest | None
    pids: tuple[int, ...]


def find_leftovers(roots: Iterable[Path] | None = None) -> tuple[Leftover, ...]:
    """Find directories with a valid manifest, of this user, whose owner is dead."""
    wanted = (Path("/dev/shm"), Path(tempfile.gettempdir())) if roots is None else roots
    found = []
    for root in dict.fromkeys(wanted):
        for path in sorted(root.glob(PREFIX + "*")):
            if _is_leftover(path):
                manifest = read_manifest(path)
                found.append(Leftover(path=path, manifest=manifest, pids=processes_in(path)))
    return tuple(found)


def remove_leftover(leftover: Leftover) -> None:
    """Kill what still works in the directory, remove its shared memory and the directory.

    Raises:
        UsageError: it is no leftover: not marked as one, or its owner lives.
        InfrastructureError: a process does not end or a file cannot be removed.

    """
    path = leftover.path
    try:
        with _only_remover(path):
            _remove(path)
    except FileNotFoundError:
        return


def _remove(path: Path) -> None:
    if not _is_leftover(path):
        if not path.exists():
            raise FileNotFoundError(path)
        raise _not_ours(path)
    with Pidfds(processes_in(path)) as processes:
        # Looked at again with the handles open: a pid may have changed hands before.
        processes.retain(lambda pid: _works_in(pid, path))
        processes.send(signal.SIGKILL)
        remaining = processes.wait(_END_TIMEOUT_S)
    if remaining:
        raise InfrastructureError(
            cause=f"processes {remaining} in {path} survive SIGKILL",
            remedy="look at their state (ps -o stat,wchan PID), and remove it after a reboot",
        )
    for lock in path.rglob("postmaster.pid"):
        remove_shared_memory(lock.parent)
    try:
        _remove_tree(path)
    except OSError as error:
        raise InfrastructureError(
            cause=f"cannot remove {path}: {error}", remedy="remove it by hand"
        ) from error


@contextlib.contextmanager
def _only_remover(path: Path) -> Iterator[None]:
    """Let one process at a time remove a directory.

    Raises:
        FileNotFoundError: it is gone.
        UsageError: it is no directory, or another user's.
        InfrastructureError: another keeps removing it.

    """
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _not_ours(path) from error
    try:
        deadline = time.monotonic() + _OTHER_REMOVER_TIMEOUT_S
        while not _lock(directory):
            if time.monotonic() > deadline:
                message = (
                    f"another clean has been removing {path} for over "
                    f"{_OTHER_REMOVER_TIMEOUT_S:g} s"
                )
                raise InfrastructureError(cause=message, remedy="end it and try again")
            time.sleep(0.02)
        yield
    finally:
        os.close(directory)


def _not_ours(path: Path) -> UsageError:
    return UsageError(
        cause=f"{path} is in use or is no directory of chaosfuzz, so it is left alone",
        remedy="end the run that uses it, or remove it by hand if it is not needed",
    )


def _lock(directory: int) -> bool:
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_tree(path: Path) -> None:
    # The manifest goes last: what a killed removal leaves is still known as a leftover.
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
    # Elsewhere's users can write to these roots too, and name any owner they like.
    if path.is_symlink() or not path.is_dir() or status.st_uid != os.geteuid():
        return False
    manifest = read_manifest(path)
    return is_unfinished(path) if manifest is None else manifest.owner_is_gone()


def processes_in(path: Path) -> tuple[int, ...]:
    """Find what works in a directory: PostgreSQL, its children, and compose, if it names a file."""
    suspects: set[int] = set()
    for lock in path.rglob("postmaster.pid"):
        pid = postmaster_pid(lock.parent)
        if pid is not None and pid > 1:
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
