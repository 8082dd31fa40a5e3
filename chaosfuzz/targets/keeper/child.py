"""The harness's handle of a process that a keeper started."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.keeper.process_tree import wait_readable

_LOG_TAIL_BYTES = 2000


def log_tail(path: Path, from_byte: int = 0) -> str:
    """Return the last 2000 bytes of a log after `from_byte`; never raises."""
    try:
        with path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(from_byte, size - _LOG_TAIL_BYTES))
            return log.read().decode(errors="replace").strip()
    except OSError as error:
        return f"(no log: {error})"


class Child:
    """One child, by its pidfd, which never names another process. Safe for several threads."""

    def __init__(
        self,
        *,
        pid: int,
        pidfd: int,
        ready_descriptor: int | None,
        log_path: Path,
        collect: Callable[[], int],
        kill_group: Callable[[], None],
    ) -> None:
        self.pid = pid
        self.log_path = log_path
        self._pidfd = pidfd
        self._ready_descriptor = ready_descriptor
        self._collect = collect
        self._kill_group = kill_group
        self._exit_code: int | None = None
        self._lock = threading.Lock()
        self._closed = False

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the child lives.

        Raises InfrastructureError if the keeper has died.
        """
        return self.wait(0)

    def wait(self, timeout_s: float) -> int | None:
        """Wait until the process has ended; return its exit code, None after `timeout_s` seconds.

        Raises InfrastructureError if the keeper has died.
        """
        if self._exit_code is None and not self._closed and wait_readable([self._pidfd], timeout_s):
            with self._lock:
                if self._exit_code is None:
                    self._exit_code = self._collect()
        return self._exit_code

    def wait_ready(self, timeout_s: float) -> None:
        """Wait for the byte that the child writes to its ready descriptor.

        Raises InfrastructureError if the child ends or closes the descriptor first, or writes
        nothing within `timeout_s` seconds; UsageError if it was executed without `announces`.
        """
        ready = self._ready_descriptor
        if ready is None:
            raise UsageError(
                cause=(
                    f"process {self.pid} cannot say when it is ready: Keeper.execute was called "
                    "without announces=True"
                ),
                remedy=(
                    "pass announces=True and have the program write a byte to descriptor 3, or do "
                    "not call wait_ready"
                ),
            )
        started = time.monotonic()
        readable = wait_readable([ready, self._pidfd], timeout_s)
        if ready in readable and os.read(ready, 1):
            return
        waited_s = time.monotonic() - started
        if readable:
            problem = f"ended or closed its ready descriptor before it was ready ({waited_s:.3f} s)"
            # The descriptor closes an instant before the process counts as ended.
            exit_code = self.wait(min(1.0, timeout_s))
            problem += f", exit code {exit_code}" if exit_code is not None else ", still running"
        else:
            problem = f"was not ready within {timeout_s:g} s"
        raise InfrastructureError(
            cause=(
                f"process {self.pid} {problem}. Its log {self.log_path} ends: "
                f"{log_tail(self.log_path)}"
            ),
            remedy="correct what the log says; if it was only slow, run fewer lanes (--lanes)",
        )

    def signal(self, number: int) -> bool:
        """Send a signal to the process; return False if it has ended."""
        if self._closed or self._exit_code is not None or wait_readable([self._pidfd], 0):
            return False
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return False
        return True

    def pause(self) -> bool:
        """Freeze the process by SIGSTOP; return False if it has ended."""
        return self.signal(signal.SIGSTOP)

    def resume(self) -> bool:
        """Let the process go on by SIGCONT; return False if it has ended."""
        return self.signal(signal.SIGCONT)

    def kill_tree(self) -> None:
        """SIGKILL the process and its process group, without waiting for their end.

        Raises InfrastructureError if the keeper has died.
        """
        self.signal(signal.SIGKILL)
        self._kill_group()

    def close(self) -> None:
        """Close the descriptors; the process itself lives on, until the keeper ends."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for descriptor in (self._pidfd, self._ready_descriptor):
                if descriptor is not None:
                    with contextlib.suppress(OSError):
                        os.close(descriptor)
