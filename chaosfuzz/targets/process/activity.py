"""Whether processes are at work or asleep, as the kernel tells."""

import os
from collections.abc import Iterable

from chaosfuzz.targets.keeper.process_tree import PROC, children_of

# Running or about to, and waiting for a disk.
_AT_WORK = (b"R", b"D")
_READ_BYTES = 512


def components_turns(pids: Iterable[int]) -> int | None:
    """Return None if a thread of one is at work, else how often all of them have been.

    Two looks that agree say that none has been in between. Whoever is stopped or gone is not
    at work.
    """
    turns = 0
    for pid in pids:
        for thread in _threads(pid):
            if _is_at_work(f"{pid}/task/{thread}"):
                return None
            turns += _turns(f"{pid}/task/{thread}")
    return turns


def serves(postmaster: int, database: str, without: int | None) -> bool:
    """Say whether PostgreSQL is at work for a session of a database, except the one `without`.

    What it does in the background, such as writing to disk, it does for nobody.
    """
    return any(
        pid != without
        and _is_at_work(str(pid))
        # The title of a backend's process names user, database, client and command.
        and database.encode() in _read(str(pid), "cmdline").split(b" ")
        for pid in children_of(postmaster)
    )


def _threads(pid: int) -> list[str]:
    try:
        return [thread.name for thread in (PROC / str(pid) / "task").iterdir()]
    except OSError:
        return []


def _is_at_work(thread: str) -> bool:
    # The command, in parentheses, may hold blanks and parentheses itself.
    return _read(thread, "stat").rpartition(b") ")[2].startswith(_AT_WORK)


def _turns(thread: str) -> int:
    """Return how often it got the processor; 0 of kernels that do not count."""
    return int((_read(thread, "schedstat").split() or [b"0"])[-1])


def _read(thread: str, name: str) -> bytes:
    # Plain calls: thousands of these files are read for one schedule.
    try:
        descriptor = os.open(f"{PROC}/{thread}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _READ_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
