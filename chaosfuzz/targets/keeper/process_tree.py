"""Processes by /proc and pidfds: their state and descendants; signalling and awaiting many."""

import contextlib
import math
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError

PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def stat_fields(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on; None if there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The field before the state is the command in parentheses, which may contain both.
    return text.rpartition(")")[2].split()


def start_time_ticks(pid: int) -> int | None:
    """Return the start of a process in clock ticks since boot, None if there is no such process.

    A pid may be given to a new process; a pid and its start time name one process for ever.
    """
    fields = stat_fields(pid)
    return int(fields[19]) if fields else None


def is_alive(pid: int) -> bool:
    """Say whether the process exists and is not a zombie."""
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in "ZX"


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process in bytes; 0 if there is no such process."""
    try:
        fields = (PROC / str(pid) / "statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else 0


def all_pids() -> Iterator[int]:
    """Yield the pid of every process in this pid namespace."""
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            yield int(entry.name)


def children_of(pid: int) -> list[int]:
    """Return the children of a single-threaded process, zombies included; none of a dead one."""
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
    """Wait until a descriptor is readable or closed; return those that are.

    The set is empty after `timeout_s` seconds. A pidfd becomes readable when its process ends.
    """
    poller = select.poll()
    for descriptor in descriptors:
        poller.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _event in poller.poll(math.ceil(max(timeout_s, 0) * 1000))}


class Pidfds:
    """Pidfds of several processes: signals never reach a new process with an old pid.

    Processes that have ended, and those for which `belongs` is false, are left out. The
    context manager closes the descriptors.
    """

    def __init__(
        self, pids: Collection[int], belongs: Callable[[int], bool] = lambda _pid: True
    ) -> None:
        self._descriptors: dict[int, int] = {}
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                # Asked with the pidfd open: the pid may have been given to another process before.
                if belongs(pid):
                    self._descriptors[descriptor] = pid
                else:
                    os.close(descriptor)

    def __enter__(self) -> "Pidfds":
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)

    def send(self, number: int) -> None:
        """Send a signal to every process that still exists."""
        for descriptor in self._descriptors:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)

    def wait(self, timeout_s: float) -> tuple[int, ...]:
        """Wait until all have ended; return the pids that still run after `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        pending = dict(self._descriptors)
        while pending:
            ended = wait_readable(pending, deadline - time.monotonic())
            for descriptor in ended:
                del pending[descriptor]
            if not ended and time.monotonic() >= deadline:
                break
        return tuple(pending.values())


def kill_verified(
    pids: Collection[int], belongs: Callable[[int], bool], owner: str, timeout_s: float
) -> None:
    """SIGKILL those processes for which `belongs` is true, and wait until they have ended.

    Raises InfrastructureError, which names the `owner`, if one is there after `timeout_s` seconds.
    """
    with Pidfds(pids, belongs) as processes:
        processes.send(signal.SIGKILL)
        remaining = processes.wait(timeout_s)
    if remaining:
        raise stuck(owner, remaining[0], "survives SIGKILL", timeout_s)


def stuck(owner: str, pid: int, problem: str, after_s: float) -> InfrastructureError:
    """Return the error for a process that does not do what a signal demands."""
    return InfrastructureError(
        cause=f"{owner} (pid {pid}) {problem} after {after_s:g} s",
        remedy=(
            f"look at its state (ps -o stat,wchan {pid}); state D waits for a device, which only "
            "a reboot ends"
        ),
    )
