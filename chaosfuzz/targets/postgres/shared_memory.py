"""The System V shared memory that a killed PostgreSQL leaves behind."""

import contextlib
import ctypes
from pathlib import Path

_IPC_RMID = 0
_SHARED_MEMORY_LINE = 6
_libc = ctypes.CDLL(None, use_errno=True)


def postmaster_pid(data_directory: Path) -> int | None:
    """Return the pid in postmaster.pid, None without one."""
    lines = _lines(data_directory)
    with contextlib.suppress(IndexError, ValueError):
        return int(lines[0])
    return None


def remove_shared_memory(data_directory: Path) -> bool:
    """Remove the segment that postmaster.pid names, if any; tell whether one was removed.

    Only for a cluster whose processes are all gone.
    """
    lines = _lines(data_directory)
    with contextlib.suppress(IndexError, ValueError):
        _key, identifier = (int(word) for word in lines[_SHARED_MEMORY_LINE].split())
        return bool(_libc.shmctl(identifier, _IPC_RMID, None) == 0)
    return False


def _lines(data_directory: Path) -> list[str]:
    try:
        return (data_directory / "postmaster.pid").read_text(errors="replace").splitlines()
    except OSError:
        return []
