"""Containers of a lane that stay: each is started again after its end, ahead of its next use."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.events import EventStream
from chaosfuzz.targets.docker.orders import GateLine, Program, admit, listen
from chaosfuzz.targets.docker.process import ContainerProcess
from chaosfuzz.targets.docker.things import ContainerPlan
from chaosfuzz.targets.keeper.process_tree import PROC, children_of

# Chosen by hand: a gate takes about a second to import its modules on a quiet machine.
BOOT_TIMEOUT_S = 60.0
# Chosen by hand: from the SIGKILL of a program to the gate's answer.
END_TIMEOUT_S = 10.0
GATE_DIRECTORY = "/run/chaosfuzz"
# Chosen by hand: how long after a kill for memory the engine may still report it.
_LATE_EVENT_S = 2.0


class Container:
    """A container with the gate as its first process; started again after each end.

    Raises InfrastructureError if the engine does not create the container.
    """

    def __init__(
        self,
        engine: Engine,
        events: EventStream,
        plan: ContainerPlan,
        directory: Path,
        booting: ThreadPoolExecutor,
    ) -> None:
        self.engine = engine
        self.events = events
        self.directory = directory
        self.plan = replace(plan, binds={**plan.binds, str(directory): GATE_DIRECTORY})
        self.listener = listen(directory)
        self.lock = threading.RLock()
        self._booting = booting
        self._may_lack_memory = False
        self._excused_until_s = 0.0
        self._kills_seen = 0
        self._starts = 0
        self._process: GateProcess | None = None
        self._next: Future[GateProcess] | None = None
        self.identity = engine.create(self.plan)

    def boot_ahead(self) -> None:
        """Start the container in the background, unless it runs or is being started."""
        with self.lock:
            if self._process is None and self._next is None:
                self._next = self._booting.submit(self._start)

    def booted(self) -> "GateProcess":
        """Return the running gate, after a start of the container if it does not run."""
        with self.lock:
            # Reading the exit code of a process that ended takes it away from here.
            if self._process is not None and self._process.exit_code is None:
                return self._process
            self.boot_ahead()
            following, self._next = self._next, None
            assert following is not None
            self._process = following.result(2 * BOOT_TIMEOUT_S)
            return self._process

    def run(self, program: Program) -> "GateProcess":
        """Run a program in the container, starting the container first if it does not run."""
        process = self.booted()
        process.run(program)
        return process

    def process_ended(self) -> None:
        """Forget the process that has ended, and start the container again in the background."""
        self._process = None
        self.boot_ahead()

    def check_memory(self) -> None:
        """Check that the kernel has killed nothing here for lack of memory without a step.

        Raises InfrastructureError if it has.
        """
        killed = self.events.out_of_memory(self.identity)
        fresh, self._kills_seen = killed[self._kills_seen :], len(killed)
        if self._may_lack_memory or all(at_s <= self._excused_until_s for at_s in fresh):
            return
        raise InfrastructureError(
            cause=(
                f"the kernel killed a process of {self.plan.name} for lack of memory (it has "
                f"{self.plan.memory_bytes >> 20} MB), and no step asked for it"
            ),
            remedy="free memory on this machine",
        )

    def may_lack_memory(self, *, yes: bool) -> None:
        """Say whether a step lets the kernel kill here for lack of memory from now on.

        A kill that the engine reports up to two seconds after this call is excused either way.
        """
        self._excused_until_s = time.monotonic() + _LATE_EVENT_S
        self._may_lack_memory = yes

    def exhaust_memory(self) -> None:
        """Have the gate take memory until the kernel kills it; does not wait for that."""
        process = self.booted()
        process.resume()
        process.line.exhaust_memory()

    def close(self) -> None:
        """Remove the container."""
        with self.lock:
            if self._next is not None:
                with contextlib.suppress(InfrastructureError):
                    self._process = self._next.result(BOOT_TIMEOUT_S)
            process, self._process = self._process, None
        if process is not None:
            process.hang_up()
        self.engine.remove("container", self.identity)
        self.listener.close()

    def _start(self) -> "GateProcess":
        if self._starts:
            # The engine starts a container only once it knows of the end before.
            self.events.exit_code(self.identity, self._starts)
        self.engine.start(self.identity)
        self._starts += 1
        return GateProcess(self, self._starts)


class GateProcess(ContainerProcess):
    """The gate of a running container, and the program that it runs (implements AnnouncingProcess).

    `pid` is the program's inside the container. A program can be replaced while the gate lives.

    Raises InfrastructureError if the gate does not announce itself in time.
    """

    quiet_exit_codes = frozenset({0, -signal.SIGKILL, -signal.SIGTERM})
    start_remedy = (
        "correct what the log says; if it says nothing, free memory or run fewer lanes (--lanes); "
        "to build the image anew, remove it first (docker rmi IMAGE), then: chaosfuzz docker build"
    )

    def __init__(self, container: Container, number: int) -> None:
        super().__init__(
            container.engine, container.events, container.identity, container.plan.name, number
        )
        self._container = container
        self._host_pid = 0
        line = admit(container.listener, self._pidfd, BOOT_TIMEOUT_S)
        if line is None:
            super().close()
            raise InfrastructureError(
                cause=f"the container {self.name} did not come up. Its log ends: {self.log_tail()}",
                remedy=self.start_remedy,
            )
        self.line: GateLine = line
        # Not before: `booted` holds this lock while another thread is in this constructor.
        self._lock = container.lock

    def run(self, program: Program) -> None:
        """Have the gate start a program; `pid` is the program's afterwards."""
        self.pid, self._host_pid = self.line.run(program), 0

    @property
    def host_pid(self) -> int:
        """The pid of the program on this machine, 0 if it is gone."""
        if not self._host_pid:
            self._host_pid = pid_outside(self.first_pid, self.pid)
        return self._host_pid

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until the program says that it is ready.

        Raises InfrastructureError if it does not in time, or the container ends first.
        """
        began = time.monotonic()
        if self.line.wait_ready(timeout_s):
            return
        raise InfrastructureError(
            cause=(
                f"{self.name} was not ready after {time.monotonic() - began:.1f} s. Its log ends: "
                f"{self.log_tail()}"
            ),
            remedy="correct what the log says; if it was only slow, run fewer lanes (--lanes)",
        )

    def signal_program(self, number: int) -> None:
        """Send a signal to the program; the gate passes on only SIGTERM and SIGINT."""
        if pid := self.host_pid:
            os.kill(pid, number)

    def end_program(self) -> bool:
        """Kill the program and keep the container; return False if the container has ended."""
        if self.exit_code is not None:
            return False
        self.resume()
        return self.line.end(END_TIMEOUT_S)

    def after_end(self) -> None:
        """Close the handles, and have the container start again in the background."""
        self.hang_up()
        self._container.process_ended()

    def close(self) -> None:
        """Do nothing: the handles are closed when the container has ended or is removed."""

    def hang_up(self) -> None:
        """Close the line to the gate, upon which the gate ends, and the handle of the process."""
        self.line.close()
        super().close()


class ContainerPair:
    """The containers of one component: while the one that died starts again, the other is used.

    `make` is given "a" or "b". The second container is made at the first death.
    """

    def __init__(self, make: Callable[[str], Container]) -> None:
        self._make = make
        self.containers: tuple[Container, ...] = (make("a"),)
        self.current = self.containers[0]

    def swap(self) -> None:
        """Put the other container in the place of the current one, which has died."""
        if len(self.containers) == 1:
            self.containers = (*self.containers, self._make("b"))
        self.current = next(each for each in self.containers if each is not self.current)
        self.current.boot_ahead()


def pid_outside(parent: int, pid: int) -> int:
    """Return the pid on this machine of a child that has `pid` inside its container, 0 if none."""
    for child in children_of(parent):
        with contextlib.suppress(OSError, IndexError):
            status = (PROC / str(child) / "status").read_text(encoding="utf-8")
            inside = next(line for line in status.splitlines() if line.startswith("NSpid:"))
            if int(inside.split()[-1]) == pid:
                return child
    return 0
