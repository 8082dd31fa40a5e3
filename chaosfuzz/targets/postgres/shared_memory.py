"""Reads postmaster.pid, and removes the shared memory that a killed PostgreSQL leaves."""

import contextlib
import ctypes
from pathlib import Path

_IPC_RMID = 0
# The index of the line with key and id: LOCK_FILE_LINE_SHMEM_KEY in PostgreSQL's pidfile.h.
_SHARED_MEMORY_LINE = 6
_libc = ctypes.CDLL(None, use_errno=True)


def remove_shared_memory(data_directory: Path) -> bool:
    """Remove the System V segment that postmaster.pid names; return whether one was removed.

    All processes of the cluster must have ended.
    """
    lines = postmaster_lines(data_directory)
    with contextlib.suppress(IndexError, ValueError):
        _key, identifier = (int(word) for word in lines[_SHARED_MEMORY_LINE].split())
        return bool(_libc.shmctl(identifier, _IPC_RMID, None) == 0)
    return False


def postmaster_lines(data_directory: Path) -> list[str]:
    """Return the lines of postmaster.pid, none without that file."""
    try:
        return (data_directory / "postmaster.pid").read_text(errors="replace").splitlines()
    except OSError:
        return []
