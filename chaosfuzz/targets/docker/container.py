"""One container of a lane: made once, booted again whenever it has died, and what runs in it."""

import contextlib
import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.events import EventStream
from chaosfuzz.targets.docker.orders import GateLine, Listener, Program
from chaosfuzz.targets.docker.things import ContainerPlan
from chaosfuzz.targets.keeper.process_tree import PROC, children_of, wait_readable

BOOT_TIMEOUT_S = 60.0
DEATH_TIMEOUT_S = 20.0
END_TIMEOUT_S = 10.0
GATE_DIRECTORY = "/run/chaosfuzz"
_LOG_LINES = 20
_LATE_EVENT_S = 2.0
# As shells and the engine tell a signal by an exit code.
_SIGNALLED = 128


@dataclass(frozen=True, kw_only=True)
class Boot:
    """One life of a container: its first process, on this machine, and the line to it."""

    number: int
    pid: int
    pidfd: int
    line: GateLine

    @property
    def is_over(self) -> bool:
        """Say whether the first process has ended, and with it all others."""
        return bool(wait_readable([self.pidfd], 0))


class Container:
    """A container that is kept: each time it dies it is booted again ahead of its next use."""

    def __init__(
        self,
        engine: Engine,
        events: EventStream,
        plan: ContainerPlan,
        directory: Path,
        booting: ThreadPoolExecutor,
    ) -> None:
        self.name = plan.name
        self.directory = directory
        self.plan = replace(plan, binds={**plan.binds, str(directory): GATE_DIRECTORY})
        self.is_paused = False
        self._may_lack_memory = False
        self._forgiven_until_s = 0.0
        self._kills_seen = 0
        self._engine = engine
        self._events = events
        self._booting = booting
        self._listener = Listener(directory)
        self._boots = 0
        self._boot: Boot | None = None
        self._next: Future[Boot] | None = None
        self._lock = threading.RLock()
        self.identity = engine.create(self.plan)

    def boot_ahead(self) -> None:
        """Start the container in the background, unless it runs or is being started."""
        with self._lock:
            if self._boot is None and self._next is None:
                self._next = self._booting.submit(self._start)

    def booted(self) -> Boot:
        """Return the container's present life; waits for it to begin."""
        with self._lock:
            boot = self._boot
            if boot is not None and boot.is_over:
                self.buried(boot)
                boot = None
            if boot is None:
                self.boot_ahead()
                following, self._next = self._next, None
                assert following is not None
                boot = self._boot = following.result(2 * BOOT_TIMEOUT_S)
            return boot

    def run(self, program: Program) -> "ContainerProcess":
        """Run a program in the container."""
        boot = self.booted()
        return ContainerProcess(self, boot, boot.line.run(program))

    def exit_code(self, boot: Boot) -> int:
        """Return the exit code of a life that is over, negative for a signal.

        Raises:
            InfrastructureError: the engine does not tell, or the kernel killed it for memory.

        """
        code = self._events.exit_code(self.identity, boot.number, DEATH_TIMEOUT_S)
        if code is None:
            raise InfrastructureError(
                cause=(
                    f"the Docker engine has not reported the end of {self.name} within "
                    f"{DEATH_TIMEOUT_S:g} s"
                ),
                remedy="look at the engine's log, and restart dockerd",
            )
        return _SIGNALLED - code if code > _SIGNALLED else code

    def check_memory(self) -> None:
        """Raise InfrastructureError if the kernel killed something in it that nobody asked for."""
        killed = self._events.out_of_memory(self.identity)
        fresh, self._kills_seen = killed[self._kills_seen :], len(killed)
        if self._may_lack_memory or all(at_s <= self._forgiven_until_s for at_s in fresh):
            return
        limit = self.plan.memory_bytes >> 20
        message = (
            f"the kernel killed a process of {self.name} for lack of memory (it has {limit} "
            "MB), and no step asked for it"
        )
        raise InfrastructureError(cause=message, remedy="free memory on this machine")

    def may_lack_memory(self, *, yes: bool) -> None:
        """Take note that the kernel may kill in it from now on, or soon no more."""
        # An event may come a little after what it tells.
        self._forgiven_until_s = time.monotonic() + _LATE_EVENT_S
        self._may_lack_memory = yes

    def buried(self, boot: Boot) -> None:
        """Give up a life that is over, and start the next one ahead."""
        with self._lock:
            if self._boot is not boot:
                return
            self._boot = None
            self.is_paused = False
            boot.line.close()
            os.close(boot.pidfd)
            self.boot_ahead()

    def signal(self, boot: Boot, number: int) -> bool:
        """Send a signal to the first process; freezing and thawing is the engine's."""
        with self._lock:
            if self._boot is not boot or boot.is_over:
                return False
            if number == signal.SIGSTOP:
                self._pause()
            elif number == signal.SIGCONT:
                self._unpause()
            else:
                try:
                    signal.pidfd_send_signal(boot.pidfd, number)
                except ProcessLookupError:
                    return False
                if number == signal.SIGKILL:
                    # What is frozen dies only once it is let go.
                    self._unpause()
            return True

    def exhaust_memory(self) -> None:
        """Have it take memory until the kernel kills it."""
        boot = self.booted()
        with self._lock:
            self._unpause()
        boot.line.exhaust_memory()

    def log_tail(self) -> str:
        """Return the last lines that the container has said; never fails."""
        try:
            return self._engine.logs(self.identity, _LOG_LINES).strip()
        except InfrastructureError as error:
            return f"(no log: {error})"

    def close(self) -> None:
        """Remove the container."""
        with self._lock:
            if self._next is not None:
                with contextlib.suppress(InfrastructureError):
                    self._boot = self._next.result(BOOT_TIMEOUT_S)
            boot, self._boot = self._boot, None
        if boot is not None:
            boot.line.close()
            os.close(boot.pidfd)
        self._engine.remove(self.identity)
        self._listener.close()

    def _pause(self) -> None:
        if not self.is_paused:
            self._engine.pause(self.identity)
            self.is_paused = True

    def _unpause(self) -> None:
        if self.is_paused:
            self.is_paused = False
            with contextlib.suppress(InfrastructureError):
                self._engine.unpause(self.identity)

    def _start(self) -> Boot:
        if self._boots:
            # The engine has to know of the end before it can start it again.
            self._events.exit_code(self.identity, self._boots, DEATH_TIMEOUT_S)
        self._engine.start(self.identity)
        self._boots += 1
        pid = self._engine.state(self.identity).pid
        pidfd = os.pidfd_open(pid) if pid else None
        line = self._listener.admit(pidfd, BOOT_TIMEOUT_S) if pidfd is not None else None
        if pidfd is None or line is None:
            if pidfd is not None:
                os.close(pidfd)
            raise InfrastructureError(
                cause=f"the container {self.name} did not come up: {self.log_tail()}",
                remedy=(
                    "build the image anew (chaosfuzz docker build), or free memory on this machine"
                ),
            )
        return Boot(number=self._boots, pid=pid, pidfd=pidfd, line=line)


class ContainerProcess:
    """A program that is a container's purpose (implements AnnouncingProcess)."""

    def __init__(self, container: Container, boot: Boot, pid: int) -> None:
        self.container = container
        self.pid = pid
        self.last_words = ""
        self._boot = boot
        self._host_pid = 0
        self._exit_code: int | None = None
        self._lock = threading.Lock()

    @property
    def host_pid(self) -> int:
        """The pid on this machine, 0 if it is gone."""
        if not self._host_pid:
            self._host_pid = pid_outside(self._boot.pid, self.pid)
        return self._host_pid

    @property
    def exit_code(self) -> int | None:
        """The exit code of the container, negative for a signal; None while it runs."""
        return self.wait(0)

    def wait(self, timeout_s: float) -> int | None:
        """Wait until the container has ended."""
        # Its handle is given up with the life; whoever did so has the exit code.
        with self._lock:
            if self._exit_code is not None:
                return self._exit_code
        if not wait_readable([self._boot.pidfd], timeout_s):
            return None
        with self._lock:
            if self._exit_code is None:
                code = self.container.exit_code(self._boot)
                if code not in {0, -signal.SIGKILL, -signal.SIGTERM}:
                    self.last_words = self.container.log_tail()
                self._exit_code = code
                self.container.buried(self._boot)
        return self._exit_code

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until the program says that it is ready."""
        began = time.monotonic()
        if self._boot.line.wait_ready(timeout_s):
            return
        waited_s = time.monotonic() - began
        raise InfrastructureError(
            cause=(
                f"{self.container.name} was not ready after {waited_s:.1f} s: "
                f"{self.container.log_tail()}"
            ),
            remedy="correct what its log says; if it was only slow, run fewer lanes (--lanes)",
        )

    def signal(self, number: int) -> bool:
        """Send a signal to the container's first process, which passes on what ends it."""
        return self._exit_code is None and self.container.signal(self._boot, number)

    def pause(self) -> bool:
        """Freeze the container."""
        return self.signal(signal.SIGSTOP)

    def resume(self) -> bool:
        """Let the container go on."""
        return self.signal(signal.SIGCONT)

    def kill_tree(self) -> None:
        """SIGKILL the container's first process, and so all of them at once."""
        self.signal(signal.SIGKILL)

    def retire(self) -> bool:
        """End the program and keep the container for another; False if that is gone as well."""
        if self._exit_code is not None or self._boot.is_over:
            return False
        self.container.signal(self._boot, signal.SIGCONT)
        return self._boot.line.end(END_TIMEOUT_S)

    def close(self) -> None:
        """Nothing is kept: handles are the container's."""


def pid_outside(parent: int, pid: int) -> int:
    """Return the pid on this machine of a child that has another one inside its container."""
    for child in children_of(parent):
        with contextlib.suppress(OSError, IndexError):
            status = (PROC / str(child) / "status").read_text(encoding="utf-8")
            inside = next(line for line in status.splitlines() if line.startswith("NSpid:"))
            if int(inside.split()[-1]) == pid:
                return child
    return 0
