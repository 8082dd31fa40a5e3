"""Starts, ends, pauses and cuts off the components of a system: processes or containers."""

import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from chaosfuzz.domain.abilities import Restart
from chaosfuzz.domain.history import ProcessExit
from chaosfuzz.domain.moment import CLIENT, Moment
from chaosfuzz.domain.wire import Intervention, Request, Trap, Wire
from chaosfuzz.targets.keeper.process_tree import stuck
from chaosfuzz.targets.restarting import Restarts

SERVER = "server-1"
# Chosen by hand: the bundled worker gives its tasks 2 s to end after SIGTERM (grace_ms).
EXIT_TIMEOUT_S = 10.0


class Process(Protocol):
    """A component's process: a child alone, a child with its descendants, or a container."""

    @property
    def pid(self) -> int:
        """The pid of the child itself, as the component records it in the ledger."""
        ...

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the child lives."""
        ...

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the child's end; return its exit code, None after `timeout_s` seconds."""
        ...

    def signal(self, number: int) -> bool:
        """Send a signal to the child itself; return False if the child has ended."""
        ...

    def pause(self) -> bool:
        """Stop every process from running; return False if the child has ended."""
        ...

    def resume(self) -> bool:
        """Let the processes run again; return False if the child has ended."""
        ...

    def kill_tree(self) -> None:
        """SIGKILL the child and every process that it started."""
        ...

    def close(self) -> None:
        """Free the handles; the process itself is left alone."""
        ...


@dataclass(kw_only=True)
class ServerPlace:
    """The address (`host`) and port (`number`) of a system's HTTP server, also while it is down."""

    host: str
    number: int

    def close(self) -> None:
        """Do nothing: a container's address and port end with it (ReservedPort frees its port)."""


class ComponentSystem(ABC):
    """Implements the abilities of a system that act on its components.

    A fault that strikes at a moment comes from the proxy's thread, so every method that changes
    processes takes one lock. Without a wire, components reach the database directly, connections
    cannot be cut or held, and no moment comes.
    """

    def __init__(self, wire: Wire | None) -> None:
        self._wire = wire
        self._lock = threading.RLock()
        self._children: dict[str, Process] = {}
        self._ordered: set[str] = set()
        self._paused: set[str] = set()
        self._frozen: set[str] = set()
        self._hold_timers: dict[str, threading.Timer] = {}
        self._exits: list[ProcessExit] = []
        self._restarts = Restarts("never")

    @abstractmethod
    def prepare(self, component: str) -> None:
        """Give a component a port of the proxy, unless it has one or there is no proxy."""

    @abstractmethod
    def launch(self, component: str) -> Process:
        """Start a component's process; raise InfrastructureError if that fails."""

    @abstractmethod
    def await_ready(self, component: str, process: Process) -> None:
        """Wait until a component is ready; raise InfrastructureError if it does not become so."""

    def ending(self, component: str) -> tuple[int, float]:
        """Return the signal of a graceful shutdown, and the seconds until SIGKILL follows."""
        return signal.SIGTERM, EXIT_TIMEOUT_S

    def offers(self, component: str) -> bool:
        """Say whether the system can have a component of this name."""
        return True

    def exit_detail(self, component: str) -> str:
        """Return what explains a component's end, for instance the end of its log; may be empty."""
        return ""

    def exits(self) -> Sequence[ProcessExit]:
        """Return the components that ended since the last call, and restart workers that are due.

        Workers are restarted by their restart policy. Raises InfrastructureError if the proxy
        itself has failed.
        """
        if self._wire is not None:
            self._wire.check()
        with self._lock:
            for name in list(self._children):
                self._collect(name)
            exits, self._exits = [self._with_restart(ended) for ended in self._exits], []
            for name in self._restarts.due(self._running()):
                self.bring_back(name)
        return exits

    def bring_back(self, component: str) -> None:
        """Start a worker that its restart policy wants, without waiting until it is ready."""
        self._launch(component)

    def set_restart_policy(self, component: str, policy: Restart) -> bool:
        """Set when a worker is started again after its end; return False if that holds already."""
        with self._lock:
            return self._restarts.set_policy(component, policy)

    def worker_names(self) -> Sequence[str]:
        """Return the sorted names of the workers that run, paused ones included."""
        return sorted(name for name in self._running() if name.startswith("worker-"))

    def pid(self, component: str) -> int:
        """Return the process id of a component that runs; raise KeyError for another."""
        return self._children[component].pid

    def kill(self, component: str, *, graceful: bool) -> bool:
        """End a component and wait until it is gone; return False if it does not run.

        `graceful` sends the component's stop signal, lifts its pauses and holds so that it can
        end, and sends SIGKILL after the time of `ending`. Otherwise it is SIGKILL at once. Then
        the proxy drops what the component sent and was not forwarded. Raises InfrastructureError
        if a process is still there 10 s after SIGKILL.
        """
        with self._lock:
            child = self._children.get(component)
            if child is None or child.exit_code is not None:
                return False
            self._ordered.add(component)
            if graceful:
                self._restarts.asked_to_end(component)
                number, grace_s = self.ending(component)
                child.signal(number)
                # A component that is paused, or waits for a reply, cannot end in order.
                self.resume(component)
                self.release(component)
                self._thaw(component)
                ended = child.wait(grace_s) is not None
                if ended and self._wire is not None:
                    # The kernel still delivers what a process sent before it exited.
                    self._wire.drain(component)
            child.kill_tree()
            if child.wait(EXIT_TIMEOUT_S) is None:
                raise stuck(component, child.pid, "survives SIGKILL", EXIT_TIMEOUT_S)
            if self._wire is not None:
                # Requests that the proxy holds back never reach the database.
                self._wire.cut(component)
                if component == SERVER and CLIENT in self._frozen:
                    # Replies that the proxy holds back never reach the client.
                    self._wire.cut(CLIENT)
            self._collect(component)
        return True

    def start(self, component: str) -> bool:
        """Start a component and wait until it is ready; return False if it runs or cannot exist."""
        with self._lock:
            if component in self._running() or not self.offers(component):
                return False
            self._collect(component)
            self._launch(component)
            self.await_ready(component, self._children[component])
        return True

    def pause(self, component: str) -> bool:
        """Pause a component's processes; return False if it does not run or is paused."""
        with self._lock:
            child = self._children.get(component)
            if child is None or component in self._paused or not child.pause():
                return False
            self._paused.add(component)
        return True

    def resume(self, component: str) -> bool:
        """Resume a paused component, and end the freeze of a trap; return False if not paused."""
        with self._lock:
            if component not in self._paused:
                return False
            self._paused.discard(component)
            self._thaw(component)
            return self._children[component].resume()

    def cut(self, component: str) -> bool:
        """Break a component's connections to the database; False if it is down or has no proxy."""
        if self._wire is None or component not in self._running():
            return False
        self._wire.cut(component)
        return True

    def hold(self, component: str, for_ms: int) -> bool:
        """Forward nothing between a component and the database; return False if that is impossible.

        The hold ends after `for_ms` milliseconds, with 0 at `release`. It is impossible without a
        proxy, for a component that does not run, and for a component that is held already.
        """
        with self._lock:
            if (
                self._wire is None
                or component not in self._running()
                or component in self._hold_timers
            ):
                return False
            self._wire.freeze(component)
            ending = threading.Timer(for_ms / 1000, partial(self.release, component))
            ending.daemon = True
            self._hold_timers[component] = ending
            if for_ms:
                ending.start()
        return True

    def release(self, component: str) -> bool:
        """End a hold; return False if the component is not held. A trap may still freeze it."""
        with self._lock:
            ending = self._hold_timers.pop(component, None)
            if ending is None:
                return False
            ending.cancel()
            if self._wire is not None and component not in self._frozen:
                self._wire.unfreeze(component)
        return True

    def end_stranded(self, component: str) -> None:
        """End the database sessions that STRAND kept when it dropped a client of the component."""
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
        """Set a trap as Wire.set_trap does; return None if there is no proxy."""
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
        """Forward again what a trap froze; for a paused component, `resume` does it."""
        with self._lock:
            if component not in self._paused:
                self._thaw(component)

    def requests(self) -> Sequence[Request]:
        """Return the requests of all components so far, in the order of their arrival."""
        return self._wire.requests() if self._wire is not None else ()

    def end_components(self) -> None:
        """Release every hold, kill every component, and wait up to 10 s for the end of each."""
        for name in tuple(self._hold_timers):
            self.release(name)
        for name, child in self._children.items():
            self._ordered.add(name)
            child.kill_tree()
        for child in self._children.values():
            child.wait(EXIT_TIMEOUT_S)
            child.close()
        self._children.clear()

    def start_components(self, names: Sequence[str]) -> None:
        """Start components side by side, and wait until all are ready."""
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
            if self._wire is not None and component not in self._hold_timers:
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
                detail=self.exit_detail(component),
                at_ns=time.monotonic_ns(),
            )
        )
        self._paused.discard(component)
        # The next process of this name inherits no descendants, no hold and no freeze.
        child.kill_tree()
        self.release(component)
        self._thaw(component)
        child.close()
        del self._children[component]
