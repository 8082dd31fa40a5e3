"""A child with everything that it started, also what left its parent and its session."""

import contextlib
import os
import signal
import time
from collections.abc import Callable

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper.child import Child
from chaosfuzz.targets.keeper.process_tree import (
    PROC,
    Pidfds,
    descendants_of,
    is_alive,
    stat_fields,
)

MARK = "CHAOSFUZZ_MARK"
_DEADLINE_S = 10.0
_POLL_S = 0.001


class ProcessTree:
    """A child and its tree, signalled as one.

    Whatever it starts stays below the keeper, which adopts orphans. Of these, its own are its
    descendants, those of its session, and those that inherited its mark in their environment.
    """

    def __init__(self, child: Child, keeper_pid: int, mark: str) -> None:
        self._child = child
        self._keeper_pid = keeper_pid
        self._mark = f"{MARK}={mark}".encode()
        self.pid = child.pid
        self.log_path = child.log_path

    @property
    def exit_code(self) -> int | None:
        """The exit code of the child itself; None while alive."""
        return self._child.exit_code

    def wait(self, timeout_s: float) -> int | None:
        """Wait until the child itself has ended."""
        return self._child.wait(timeout_s)

    def signal(self, number: int) -> bool:
        """Send a signal to the child itself."""
        return self._child.signal(number)

    def members(self) -> tuple[int, ...]:
        """Return the processes of the tree that live, the child first."""
        own = {self.pid, *descendants_of(self.pid)}
        for pid in descendants_of(self._keeper_pid):
            if pid not in own and (_session_of(pid) == self.pid or self._is_marked(pid)):
                own.add(pid)
        alive = [pid for pid in own if is_alive(pid)]
        return tuple(sorted(alive, key=lambda pid: (pid != self.pid, pid)))

    def pause(self) -> bool:
        """Freeze every process; False if the child has ended."""
        if self._child.exit_code is not None:
            return False
        self._until_none(signal.SIGSTOP, lambda pid: not _is_stopped(pid), "is not stopped")
        return self._child.exit_code is None

    def resume(self) -> bool:
        """Let every process go on; False if the child has ended."""
        with Pidfds(self.members()) as processes:
            processes.send(signal.SIGCONT)
        return self._child.exit_code is None

    def kill_tree(self) -> None:
        """SIGKILL every process, frozen before so that none sees another die.

        Raises:
            InfrastructureError: one is still there at the deadline.

        """
        self._until_none(signal.SIGSTOP, lambda pid: not _is_stopped(pid), "is not stopped")
        self._until_none(signal.SIGKILL, is_alive, "survives SIGKILL")
        self._child.kill_tree()

    def close(self) -> None:
        """Give up the handles."""
        self._child.close()

    def _until_none(self, number: int, concerns: Callable[[int], bool], problem: str) -> None:
        """Signal the members that it concerns until there is none; what they fork is theirs too."""
        deadline = time.monotonic() + _DEADLINE_S
        while pending := [pid for pid in self.members() if concerns(pid)]:
            with Pidfds(pending) as processes:
                processes.send(number)
                if number == signal.SIGKILL:
                    processes.wait(0.1)
                else:
                    self._child.wait(_POLL_S)
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    cause=f"process {pending[0]} of {self.pid} {problem} after {_DEADLINE_S:g} s",
                    remedy=(
                        f"look at its state (ps -o stat,wchan {pending[0]}); state D waits for a "
                        "device, which only a reboot ends"
                    ),
                )

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
    """Say whether a process is stopped or gone."""
    fields = stat_fields(pid)
    return fields is None or fields[0] in "TtZX"
