"""A child with all its descendants, also those that left their parent and their session."""

import contextlib
import os
import signal
import time
from collections.abc import Callable

from chaosfuzz.targets.keeper.child import Child
from chaosfuzz.targets.keeper.process_tree import (
    PROC,
    Pidfds,
    descendants_of,
    is_alive,
    stat_fields,
    stuck,
)

MARK = "CHAOSFUZZ_MARK"
# Chosen by hand.
_DEADLINE_S = 10.0
_POLL_S = 0.001


class ProcessTree:
    """A child and its tree (implements Process).

    The keeper adopts orphans, so all processes of the tree are descendants of the keeper. Those
    of this child are its descendants, the members of its session, and the processes whose
    environment has CHAOSFUZZ_MARK set to `mark`.
    """

    def __init__(self, child: Child, keeper_pid: int, mark: str) -> None:
        self._child = child
        self._keeper_pid = keeper_pid
        self._mark = f"{MARK}={mark}".encode()
        self.pid, self.log_path = child.pid, child.log_path
        self.wait, self.signal, self.close = child.wait, child.signal, child.close

    @property
    def exit_code(self) -> int | None:
        """The exit code of the child itself, negative for a signal; None while the child lives."""
        return self._child.exit_code

    def members(self) -> tuple[int, ...]:
        """Return the pids of the tree's live processes, the child first."""
        own = {self.pid, *descendants_of(self.pid)}
        for pid in descendants_of(self._keeper_pid):
            if pid not in own and (_session_of(pid) == self.pid or self._is_marked(pid)):
                own.add(pid)
        alive = [pid for pid in own if is_alive(pid)]
        return tuple(sorted(alive, key=lambda pid: (pid != self.pid, pid)))

    def pause(self) -> bool:
        """SIGSTOP every process and wait until all are stopped.

        Returns False if the child has ended. Raises InfrastructureError if a process is not
        stopped after 10 s.
        """
        if self._child.exit_code is not None:
            return False
        self._until_none(signal.SIGSTOP, lambda pid: not _is_stopped(pid), "is not stopped")
        return self._child.exit_code is None

    def resume(self) -> bool:
        """SIGCONT every process; return False if the child has ended."""
        with Pidfds(self.members()) as processes:
            processes.send(signal.SIGCONT)
        return self._child.exit_code is None

    def kill_tree(self) -> None:
        """SIGKILL every process and wait until all are dead.

        They are stopped first, so that none reacts to the death of another. Raises
        InfrastructureError if a process is not stopped, or not dead, after 10 s.
        """
        self._until_none(signal.SIGSTOP, lambda pid: not _is_stopped(pid), "is not stopped")
        self._until_none(signal.SIGKILL, is_alive, "survives SIGKILL")
        self._child.kill_tree()

    def _until_none(self, number: int, concerns: Callable[[int], bool], problem: str) -> None:
        """Signal those members for which `concerns` is true, again until there is none left.

        Again, because a member may fork before the signal arrives.
        """
        deadline = time.monotonic() + _DEADLINE_S
        while pending := [pid for pid in self.members() if concerns(pid)]:
            with Pidfds(pending) as processes:
                processes.send(number)
                if number == signal.SIGKILL:
                    processes.wait(0.1)
                else:
                    self._child.wait(_POLL_S)
            if time.monotonic() > deadline:
                owner = f"a process that process {self.pid} started"
                raise stuck(owner, pending[0], problem, _DEADLINE_S)

    def _is_marked(self, pid: int) -> bool:
        try:
            return self._mark in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
        except OSError:
            return False


def _session_of(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid)
    return None


def _is_stopped(pid: int) -> bool:
    """Say whether a process is stopped or dead."""
    fields = stat_fields(pid)
    return fields is None or fields[0] in "TtZX"
