"""Containers of a compose project as the components of a system."""

import contextlib
import os
import signal
import threading

from chaosfuzz.domain.abilities import Restart
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.compose.project import Project
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.events import EventStream
from chaosfuzz.targets.docker.things import Thing
from chaosfuzz.targets.keeper.process_tree import wait_readable

DEATH_TIMEOUT_S = 20.0
LOG_LINES = 20
_SIGNALLED = 128


class ComposeProcess:
    """One life of a container that somebody else's image is in (implements Process)."""

    def __init__(self, engine: Engine, events: EventStream, thing: Thing) -> None:
        self.identity = thing.identity
        self.name = thing.name.lstrip("/")
        self.last_words = ""
        self._engine = engine
        self._events = events
        self._number = events.deaths(thing.identity) + 1
        self.pid = engine.state(thing.identity).pid
        if not self.pid:
            raise InfrastructureError(
                cause=f"{self.name} ended as soon as it was started: {self.log_tail()}",
                remedy="correct the service's command so that it keeps running",
            )
        self._pidfd = os.pidfd_open(self.pid)
        self._exit_code: int | None = None
        self._is_paused = False
        self._is_closed = False
        self._lock = threading.Lock()

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self.wait(0)

    def wait(self, timeout_s: float) -> int | None:
        """Wait until the container has ended."""
        if self._exit_code is not None or self._is_closed:
            return self._exit_code
        if not wait_readable([self._pidfd], timeout_s):
            return None
        with self._lock:
            if self._exit_code is None:
                code = self._events.exit_code(self.identity, self._number, DEATH_TIMEOUT_S)
                if code is None:
                    raise InfrastructureError(
                        cause=(
                            f"the Docker engine has not reported the end of {self.name} within "
                            f"{DEATH_TIMEOUT_S:g} s"
                        ),
                        remedy="look at the engine's log, and restart dockerd",
                    )
                self._exit_code = _SIGNALLED - code if code > _SIGNALLED else code
                self.last_words = self.log_tail()
        return self._exit_code

    def signal(self, number: int) -> bool:
        """Send a signal to the first process, as the engine does."""
        if self.wait(0) is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)
            return True
        return False

    def pause(self) -> bool:
        """Freeze the container."""
        if self.wait(0) is not None or self._is_paused:
            return False
        self._engine.pause(self.identity)
        self._is_paused = True
        return True

    def resume(self) -> bool:
        """Let the container go on."""
        if not self._is_paused:
            return False
        self._is_paused = False
        with contextlib.suppress(InfrastructureError):
            self._engine.unpause(self.identity)
        return True

    def kill_tree(self) -> None:
        """SIGKILL the first process, and so all of them."""
        self.signal(signal.SIGKILL)
        # What is frozen dies only once it is let go.
        self.resume()

    def log_tail(self) -> str:
        """Return what it said last; never fails."""
        try:
            return self._engine.logs(self.identity, LOG_LINES).strip()
        except InfrastructureError as error:
            return f"(no log: {error})"

    def close(self) -> None:
        """Give up the handle."""
        if not self._is_closed:
            self._is_closed = True
            os.close(self._pidfd)


class ComposeContainers:
    """Finds the container of a component: `worker-2` is number 2 of the workers' service."""

    def __init__(self, engine: Engine, events: EventStream, project: Project) -> None:
        self.engine = engine
        self._events = events
        self._project = project

    @property
    def restart(self) -> Restart:
        """When the file wants workers back that ended by themselves."""
        return self._project.restart

    def thing(self, service: str, number: int) -> Thing:
        """Return a container of a service; one that is lacking is made."""
        found = self._project.containers(service)
        if len(found) < number:
            self._project.up(number)
            found = self._project.containers(service)
        if len(found) < number:
            raise InfrastructureError(
                cause=f"compose made {len(found)} containers of {service}, not {number}",
                remedy=(
                    f"check that the compose file lets {service} have that many: no "
                    "container_name, no fixed host port"
                ),
            )
        return found[number - 1]

    def start(self, service: str, number: int) -> ComposeProcess:
        """Start a container that is down, or take it as it runs."""
        thing = self.thing(service, number)
        if not self.engine.state(thing.identity).running:
            self.engine.start(thing.identity)
        return ComposeProcess(self.engine, self._events, thing)

    def await_well(self, process: ComposeProcess, timeout_s: float) -> None:
        """Wait until the engine finds it healthy, if the file says how one knows."""
        waited = threading.Event()
        for _ in range(int(timeout_s / 0.05)):
            state = self.engine.state(process.identity)
            if not state.running or state.health in {"none", "healthy", ""}:
                return
            waited.wait(0.05)
        raise InfrastructureError(
            cause=f"{process.name} is not healthy after {timeout_s:g} s: {process.log_tail()}",
            remedy="check the service's health check and its log: docker compose logs",
        )
