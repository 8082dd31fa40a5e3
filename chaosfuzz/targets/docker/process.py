"""The first process of a container, from one start of the container to its end."""

import contextlib
import os
import signal
import threading
import time
from typing import ClassVar

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.events import EventStream
from chaosfuzz.targets.keeper.process_tree import wait_readable

# Chosen by hand: how often the engine is asked for the result of a health check.
_HEALTH_POLL_S = 0.05


class ContainerProcess:
    """The first process of a running container (implements Process).

    All other processes of the container end with it. Every method is safe to call from several
    threads. `number` counts the starts of the container from 1.

    Raises InfrastructureError if the container does not run.
    """

    # The log is not read after an end with one of these exit codes.
    quiet_exit_codes: ClassVar[frozenset[int]] = frozenset()
    start_remedy: ClassVar[str] = "correct the command of the service so that it keeps running"

    def __init__(
        self, engine: Engine, events: EventStream, identity: str, name: str, number: int
    ) -> None:
        self.identity = identity
        self.name = name
        self.last_words = ""
        self._engine = engine
        self._events = events
        self._number = number
        self._lock = threading.RLock()
        self._exit_code: int | None = None
        self._is_paused = False
        self._is_closed = False
        self.first_pid = self.pid = engine.first_pid(identity)
        if not self.pid:
            raise InfrastructureError(
                cause=f"{name} ended as soon as it was started. Its log ends: {self.log_tail()}",
                remedy=self.start_remedy,
            )
        self._pidfd = os.pidfd_open(self.pid)

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the container runs.

        The first reading after the end waits until the engine has reported the exit code.
        """
        return self.wait(0)

    def wait(self, timeout_s: float) -> int | None:
        """Wait until the container has ended; return its exit code, None if it still runs.

        Sets `last_words`. Raises InfrastructureError if the engine does not report the end.
        """
        with self._lock:
            if self._exit_code is not None or self._is_closed:
                return self._exit_code
        if not wait_readable([self._pidfd], timeout_s):
            return None
        with self._lock:
            if self._exit_code is None:
                code = self._events.exit_code(self.identity, self._number)
                if code not in self.quiet_exit_codes:
                    self.last_words = self.log_tail()
                self._exit_code = code
                self.after_end()
        return self._exit_code

    def after_end(self) -> None:
        """Do what follows the end; called once, when the exit code is known."""

    def await_healthy(self, timeout_s: float) -> None:
        """Wait until the engine calls the container healthy, or it has no health check or ended.

        Raises InfrastructureError if the container is not healthy in time.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            health = self._engine.health(self.identity)
            if health in {"none", "healthy", ""} or self.exit_code is not None:
                return
            time.sleep(_HEALTH_POLL_S)
        raise InfrastructureError(
            cause=(
                f"{self.name} is not healthy after {timeout_s:g} s. Its log ends: {self.log_tail()}"
            ),
            remedy="correct the service's health check, or the error in its log",
        )

    def signal(self, number: int) -> bool:
        """Send a signal to the first process; return False if it has ended."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self.exit_code is None and not self._is_closed:
                signal.pidfd_send_signal(self._pidfd, number)
                return True
        return False

    def signal_program(self, number: int) -> None:
        """Send a signal to the program for which the container is there: here the first process."""
        self.signal(number)

    def pause(self) -> bool:
        """Have the engine freeze the container; return False if it is frozen or has ended."""
        with self._lock:
            if self._is_paused or self.exit_code is not None:
                return False
            self._engine.pause(self.identity)
            self._is_paused = True
        return True

    def resume(self) -> bool:
        """Have the engine thaw the container; return False if it is not frozen or has ended."""
        with self._lock:
            return self.exit_code is None and self._thaw()

    def kill_tree(self) -> None:
        """Send SIGKILL to the first process, with which all others end; does not wait."""
        with self._lock:
            self.signal(signal.SIGKILL)
            # A frozen process dies only after it has been thawed.
            self._thaw()

    def log_tail(self) -> str:
        """Return the last lines of the container's log; never fails."""
        return self._engine.log_tail(self.identity)

    def close(self) -> None:
        """Close the handle of the process."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self._pidfd)

    def _thaw(self) -> bool:
        was_paused, self._is_paused = self._is_paused, False
        if was_paused:
            # The engine refuses if the container ended meanwhile.
            with contextlib.suppress(InfrastructureError):
                self._engine.unpause(self.identity)
        return was_paused
