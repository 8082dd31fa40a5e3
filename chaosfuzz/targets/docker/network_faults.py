"""Systems whose components are containers, and the faults of their networks."""

from collections.abc import Callable
from functools import partial

from chaosfuzz.targets.components import SERVER, ComponentSystem
from chaosfuzz.targets.docker import netns
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.process import ContainerProcess


class NetworkFaults(ComponentSystem):
    """Implements Unpluggable and Filterable for components that are each a container.

    A subclass calls `begin_network_faults` before any component starts.
    """

    def begin_network_faults(self, engine: Engine, server_port: int) -> None:
        """Begin without faults; clients reach the server at this port of its container."""
        self._engine = engine
        self._server_port = server_port
        self._unplugged: dict[str, Callable[[], None]] = {}
        self._filtered: set[str] = set()

    def container_ended(self, component: str) -> None:
        """Forget the network faults of a container that ended; the next one starts connected."""
        self._filtered.discard(component)
        self.plug(component)

    def last_words(self, component: str) -> str:
        """Return the last log lines of a container that ended by itself."""
        return self.process(component).last_words

    def process(self, component: str) -> ContainerProcess:
        """Return the process of a component that runs or has not been seen to end."""
        process = self._children[component]
        assert isinstance(process, ContainerProcess), process
        return process

    def unplug(self, component: str) -> bool:
        """Take a component off the first of its networks; False if it does not run or is off."""
        with self._lock:
            if component not in self._running() or component in self._unplugged:
                return False
            identity = self.process(component).identity
            place = self._engine.place(identity)
            self._engine.disconnect(place.network, identity)
            self._unplugged[component] = partial(self._engine.connect, place, identity)
        return True

    def plug(self, component: str) -> bool:
        """Put a component on its network again, at the address it had; False if it is on."""
        with self._lock:
            connect = self._unplugged.pop(component, None)
            if connect is None:
                return False
            connect()
            self._end_lost_sessions(component)
        return True

    def partition(self, component: str, peer: str) -> bool:
        """Drop every packet between a component and the database (by the proxy) or clients.

        Return False if the component does not run or there is no proxy.
        """
        with self._lock:
            if component not in self._running() or self._wire is None:
                return False
            # Database and clients have the same address; only clients use the server's port.
            port = self._server_port if component == SERVER else None
            netns.drop(self.pid(component), self._wire.host, port=port, all_but=peer != "clients")
            self._filtered.add(component)
        return True

    def lose_packets(self, component: str, percent: int) -> bool:
        """Drop this share of a component's packets at random; False if it does not run."""
        with self._lock:
            if component not in self._running():
                return False
            netns.lose(self.pid(component), percent)
            self._filtered.add(component)
        return True

    def stop_filtering(self, component: str) -> bool:
        """Drop no more packets of a component; False if none were dropped or it does not run."""
        with self._lock:
            if component not in self._filtered or component not in self._running():
                return False
            self._filtered.discard(component)
            netns.drop_nothing(self.pid(component))
            self._end_lost_sessions(component)
        return True

    def reset_connections(self, component: str) -> bool:
        """Reset all open connections of a component; False if there are none or it is down."""
        with self._lock:
            return component in self._running() and netns.reset(self.pid(component))

    def end_network_faults(self) -> None:
        """Heal the network of every component."""
        for component in (*self._unplugged, *self._filtered):
            self.plug(component)
            self.stop_filtering(component)

    def _collect(self, component: str) -> None:
        was_there = component in self._children
        super()._collect(component)
        if was_there and component not in self._children:
            self.container_ended(component)

    def _end_lost_sessions(self, component: str) -> None:
        """End the database sessions of connections that broke unnoticed, as keepalive would."""
        if self._wire is not None and component in self._running():
            self._wire.cut(component)
