"""What a killed chaosfuzz left behind, and its removal: only what is provably its own."""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.keeper.process_tree import PROC, Pidfds, all_pids, descendants_of
from chaosfuzz.targets.postgres.runtime_directory import (
    PREFIX,
    Manifest,
    is_unfinished,
    read_manifest,
)
from chaosfuzz.targets.postgres.shared_memory import postmaster_pid, remove_shared_memory

_END_TIMEOUT_S = 10.0


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
                found.append(Leftover(path=path, manifest=manifest, pids=_processes_in(path)))
    return tuple(found)


def remove_leftover(leftover: Leftover) -> None:
    """Kill what still works in the directory, remove its shared memory and the directory.

    Raises:
        UsageError: it is no leftover: not marked as one, or its owner lives.
        InfrastructureError: a process does not end or a file cannot be removed.

    """
    path = leftover.path
    if not path.exists():
        return
    if not _is_leftover(path):
        message = f"{path} is in use or is no directory of chaosfuzz; it is left alone"
        raise UsageError(message)
    with Pidfds(_processes_in(path)) as processes:
        # Looked at again with the handles open: a pid may have changed hands before.
        processes.retain(lambda pid: _works_in(pid, path))
        processes.send(signal.SIGKILL)
        remaining = processes.wait(_END_TIMEOUT_S)
    if remaining:
        message = f"processes {remaining} in {path} survive SIGKILL; remove it after a reboot"
        raise InfrastructureError(message)
    for lock in path.rglob("postmaster.pid"):
        remove_shared_memory(lock.parent)
    try:
        shutil.rmtree(path)
    except OSError as error:
        message = f"cannot remove {path}: {error}; remove it by hand"
        raise InfrastructureError(message) from error


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


def _processes_in(path: Path) -> tuple[int, ...]:
    suspects: set[int] = set()
    for lock in path.rglob("postmaster.pid"):
        pid = postmaster_pid(lock.parent)
        if pid is not None and pid > 1:
            suspects.update((pid, *descendants_of(pid)))
    # Backends whose postmaster has died are nobody's descendants any more.
    suspects.update(pid for pid in all_pids() if _program(pid) == "postgres")
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
