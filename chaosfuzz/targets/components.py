"""The processes of a system and their ways to the database: ended, started, frozen, cut off."""

import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from chaosfuzz.domain.abilities import Restart
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.history import ProcessExit
from chaosfuzz.domain.moment import CLIENT, Moment
from chaosfuzz.domain.wire import Intervention, Request, Trap, Wire
from chaosfuzz.targets.restarting import Restarts

SERVER = "server-1"
EXIT_TIMEOUT_S = 10.0


class Process(Protocol):
    """What runs a component: a child, or one with all that it started."""

    @property
    def pid(self) -> int:
        """The pid of the child itself."""
        ...

    @property
    def exit_code(self) -> int | None:
        """None while it lives."""
        ...

    def wait(self, timeout_s: float) -> int | None:
        """Wait for its end."""
        ...

    def signal(self, number: int) -> bool:
        """Send a signal to the child itself; False if it has ended."""
        ...

    def pause(self) -> bool:
        """Freeze; False if it has ended."""
        ...

    def resume(self) -> bool:
        """Let go on; False if it has ended."""
        ...

    def kill_tree(self) -> None:
        """SIGKILL it with all that it started."""
        ...

    def close(self) -> None:
        """Give up the handles."""
        ...


class ServerPlace(Protocol):
    """Where the HTTP server of a system listens, also while it is down."""

    @property
    def host(self) -> str:
        """The address."""
        ...

    @property
    def number(self) -> int:
        """The port."""
        ...

    def close(self) -> None:
        """Give the port back."""
        ...


@dataclass(frozen=True, kw_only=True)
class ContainerPlace:
    """Where a server in a container listens; address and port are the container's own."""

    host: str
    number: int

    def close(self) -> None:
        """Nothing: they go with the container."""


class ComponentSystem(ABC):
    """Implements what a system does to its components, whatever they are.

    Faults may be injected from a second thread, when a moment comes: what changes processes is
    under one lock. Without a wire components reach the database directly, and no moment comes.
    """

    def __init__(self, wire: Wire | None) -> None:
        self._wire = wire
        self._lock = threading.RLock()
        self._children: dict[str, Process] = {}
        self._ordered: set[str] = set()
        self._paused: set[str] = set()
        self._frozen: set[str] = set()
        self._held: dict[str, threading.Timer] = {}
        self._exits: list[ProcessExit] = []
        self._restarts = Restarts("never")

    @abstractmethod
    def prepare(self, component: str) -> None:
        """Make a component's way to the database, if it has none yet."""

    @abstractmethod
    def launch(self, component: str) -> Process:
        """Start a component's process, or raise InfrastructureError."""

    @abstractmethod
    def await_ready(self, component: str, process: Process) -> None:
        """Wait until a component is ready, or raise InfrastructureError."""

    def ending(self, component: str) -> tuple[int, float]:
        """Return the signal that asks a component to end, and for how long one waits then."""
        return signal.SIGTERM, EXIT_TIMEOUT_S

    def offers(self, component: str) -> bool:
        """Say whether there can be such a component."""
        return True

    def last_words(self, component: str) -> str:
        """Return what is known of the end of a component beside its exit code."""
        return ""

    def exits(self) -> Sequence[ProcessExit]:
        """Return what ended since the last call; raises InfrastructureError for the wire's own."""
        if self._wire is not None:
            self._wire.check()
        with self._lock:
            for name in list(self._children):
                self._collect(name)
            gone, self._exits = [self._with_restart(ended) for ended in self._exits], []
            for name in self._restarts.due(self._running()):
                self.bring_back(name)
        return gone

    def bring_back(self, component: str) -> None:
        """Start one again that its restart policy wants back; nobody waits until it is ready."""
        self._launch(component)

    def set_restart_policy(self, component: str, policy: Restart) -> bool:
        """Say when a worker is started again."""
        with self._lock:
            return self._restarts.set_policy(component, policy)

    def worker_names(self) -> Sequence[str]:
        """Return the workers that run, frozen ones included."""
        return sorted(name for name in self._running() if name.startswith("worker-"))

    def pid(self, component: str) -> int:
        """Return the process id of a component that runs."""
        return self._children[component].pid

    def kill(self, component: str, *, graceful: bool) -> bool:
        """End a component by a polite signal or SIGKILL and wait until it is gone."""
        with self._lock:
            child = self._children.get(component)
            if child is None or child.exit_code is not None:
                return False
            self._ordered.add(component)
            if graceful:
                self._restarts.asked_to_end(component)
                number, grace_s = self.ending(component)
                child.signal(number)
                # It cannot end in order while it is frozen or waits for an answer.
                self.resume(component)
                self.release(component)
                self._thaw(component)
                ended = child.wait(grace_s) is not None
                if ended and self._wire is not None:
                    # What was sent by one that ends in order does reach the database.
                    self._wire.drain(component)
            child.kill_tree()
            if child.wait(EXIT_TIMEOUT_S) is None:
                raise InfrastructureError(
                    cause=(
                        f"{component} (pid {child.pid}) still runs {EXIT_TIMEOUT_S:g} s after "
                        "SIGKILL"
                    ),
                    remedy=(
                        f"look at its state (ps -o stat,wchan {child.pid}); state D waits for a "
                        "device, which only a reboot ends"
                    ),
                )
            if self._wire is not None:
                # What it sent and nobody forwarded never reaches the database.
                self._wire.cut(component)
                if component == SERVER and CLIENT in self._frozen:
                    # Nor does the client hear what it was kept from hearing.
                    self._wire.cut(CLIENT)
            self._collect(component)
        return True

    def start(self, component: str) -> bool:
        """Start a component; waits until it is ready."""
        with self._lock:
            if component in self._running() or not self.offers(component):
                return False
            self._collect(component)
            self._launch(component)
            self.await_ready(component, self._children[component])
        return True

    def pause(self, component: str) -> bool:
        """Freeze a component."""
        with self._lock:
            child = self._children.get(component)
            if child is None or component in self._paused or not child.pause():
                return False
            self._paused.add(component)
        return True

    def resume(self, component: str) -> bool:
        """Let a frozen component go on."""
        with self._lock:
            if component not in self._paused:
                return False
            self._paused.discard(component)
            self._thaw(component)
            return self._children[component].resume()

    def cut(self, component: str) -> bool:
        """Break all connections of a component to the database."""
        if self._wire is None or component not in self._running():
            return False
        self._wire.cut(component)
        return True

    def hold(self, component: str, for_ms: int) -> bool:
        """Let nothing pass between a component and the database, for a while or until released."""
        with self._lock:
            if self._wire is None or component not in self._running() or component in self._held:
                return False
            self._wire.freeze(component)
            ending = threading.Timer(for_ms / 1000, partial(self.release, component))
            ending.daemon = True
            self._held[component] = ending
            if for_ms:
                ending.start()
        return True

    def release(self, component: str) -> bool:
        """Let pass again."""
        with self._lock:
            ending = self._held.pop(component, None)
            if ending is None:
                return False
            ending.cancel()
            if self._wire is not None and component not in self._frozen:
                self._wire.unfreeze(component)
        return True

    def end_stranded(self, component: str) -> None:
        """End the sessions that a component was cut off from and does not know of."""
        if self._wire is not None:
            self._wire.end_stranded(component)

    def set_trap(
        self,
        component: str,
        moment: Moment,
        intervention: Intervention,
        sprung: Callable[[], None],
        *,
        hold_ms: int,
        about: Callable[[], frozenset[str]] | None = None,
    ) -> Trap | None:
        """Wait for a moment; None if there is no wire to wait at."""
        if self._wire is None:
            return None

        def note() -> None:
            if intervention is Intervention.FREEZE:
                self._frozen.add(component)
            sprung()

        return self._wire.set_trap(
            component, moment, intervention, note, hold_ms=hold_ms, about=about
        )

    def unfreeze(self, component: str) -> None:
        """Thaw what a trap froze, unless it has been paused since: then when it is resumed."""
        with self._lock:
            if component not in self._paused:
                self._thaw(component)

    def requests(self) -> Sequence[Request]:
        """Return what components asked the database so far."""
        return self._wire.requests() if self._wire is not None else ()

    def end_components(self) -> None:
        """Kill every component, and let go of all that kept one still."""
        for name in tuple(self._held):
            self.release(name)
        for name, child in self._children.items():
            self._ordered.add(name)
            child.kill_tree()
        for child in self._children.values():
            child.wait(EXIT_TIMEOUT_S)
            child.close()
        self._children.clear()

    def start_components(self, names: Sequence[str]) -> None:
        """Start components side by side, and wait until each is ready."""
        for name in names:
            self._launch(name)
        for name in names:
            self.await_ready(name, self._children[name])

    def _with_restart(self, ended: ProcessExit) -> ProcessExit:
        delay_s = self._restarts.note(ended)
        if delay_s is None:
            return ended
        policy = self._restarts.policy(ended.component)
        again = f"restart policy {policy}: started again in {1000 * delay_s:.0f} ms"
        return replace(ended, detail="; ".join(filter(None, (ended.detail, again))))

    def _running(self) -> set[str]:
        children = tuple(self._children.items())
        return {name for name, child in children if child.exit_code is None}

    def _thaw(self, component: str) -> None:
        if component in self._frozen:
            self._frozen.discard(component)
            if self._wire is not None and component not in self._held:
                self._wire.unfreeze(component)

    def _launch(self, component: str) -> None:
        self._ordered.discard(component)
        self.prepare(component)
        if self._wire is not None:
            self._wire.started(component)
        self._children[component] = self.launch(component)

    def _collect(self, component: str) -> None:
        child = self._children.get(component)
        if child is None or child.exit_code is None:
            return
        self._exits.append(
            ProcessExit(
                component=component,
                pid=child.pid,
                exit_code=child.exit_code,
                ordered=component in self._ordered,
                detail=self.last_words(component),
                at_ns=time.monotonic_ns(),
            )
        )
        self._paused.discard(component)
        # Nothing of what it started, or what kept it still, is left for its successor.
        child.kill_tree()
        self.release(component)
        self._thaw(component)
        child.close()
        del self._children[component]
