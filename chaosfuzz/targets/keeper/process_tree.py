"""What /proc tells about processes: children, state, start time, and how to wait for many."""

import contextlib
import math
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def stat_fields(pid: int) -> list[str] | None:
    """Return /proc/PID/stat from the state on (so [0] is the state), None if there is none."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The command, in parentheses, may hold blanks and parentheses itself.
    return text.rpartition(")")[2].split()


def start_time_ticks(pid: int) -> int | None:
    """Return when the process started, in ticks since boot: with the pid it names a process."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields else None


def is_alive(pid: int) -> bool:
    """Tell whether the process exists and is not a zombie."""
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in "ZX"


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 if it is gone."""
    try:
        fields = (PROC / str(pid) / "statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else 0


def all_pids() -> Iterator[int]:
    """Yield the id of every process that can be seen."""
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            yield int(entry.name)


def children_of(pid: int) -> list[int]:
    """Return the children of the (single-threaded) process, zombies included."""
    try:
        return [int(child) for child in (PROC / f"{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        if not (PROC / str(pid)).exists():
            return []
    except OSError:
        return []
    # Kernels without CONFIG_PROC_CHILDREN have no such file.
    parents = ((candidate, stat_fields(candidate)) for candidate in all_pids())
    return [candidate for candidate, fields in parents if fields and int(fields[1]) == pid]


def descendants_of(pid: int) -> list[int]:
    """Return all descendants of the process, parents before children."""
    found: list[int] = []
    pending = [pid]
    while pending:
        children = children_of(pending.pop())
        found += children
        pending += children
    return found


def wait_readable(descriptors: Collection[int], timeout_s: float) -> set[int]:
    """Wait until at least one descriptor is readable or closed; return those that are.

    A pidfd becomes readable when its process has ended.
    """
    poller = select.poll()
    for descriptor in descriptors:
        poller.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _event in poller.poll(math.ceil(max(timeout_s, 0) * 1000))}


class Pidfds:
    """Handles of several processes, to signal and to wait for without mistaking another's pid."""

    def __init__(self, pids: Collection[int]) -> None:
        self._descriptors: dict[int, int] = {}
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                self._descriptors[os.pidfd_open(pid)] = pid

    def __enter__(self) -> "Pidfds":
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)

    def retain(self, keep: Callable[[int], bool]) -> None:
        """Drop the processes that `keep` refuses."""
        for descriptor, pid in list(self._descriptors.items()):
            if not keep(pid):
                os.close(descriptor)
                del self._descriptors[descriptor]

    def send(self, number: int) -> None:
        """Send the signal to each that still exists."""
        for descriptor in self._descriptors:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)

    def wait(self, timeout_s: float) -> tuple[int, ...]:
        """Wait until all have ended; return the pids of those still there at the deadline."""
        deadline = time.monotonic() + timeout_s
        pending = dict(self._descriptors)
        while pending:
            ended = wait_readable(pending, deadline - time.monotonic())
            for descriptor in ended:
                del pending[descriptor]
            if not ended and time.monotonic() >= deadline:
                break
        return tuple(pending.values())
