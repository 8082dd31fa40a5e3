"""What is done to the networks of a system's containers, and the end of it."""

from abc import abstractmethod
from collections.abc import Callable

from chaosfuzz.targets.components import SERVER, ComponentSystem
from chaosfuzz.targets.docker import netns

PutBack = Callable[[], None]


class NetworkFaults(ComponentSystem):
    """Implements Unpluggable and Filterable for components that each have a network namespace.

    A subclass calls `begin_network_faults` before any component starts.
    """

    def begin_network_faults(self, server_port: int) -> None:
        """Begin without faults; clients reach the server at this port of its container."""
        self._server_port = server_port
        self._unplugged: dict[str, PutBack] = {}
        self._filtered: set[str] = set()

    @abstractmethod
    def disconnect(self, component: str) -> PutBack:
        """Take a component's container off its network; return what puts it back."""

    def unplug(self, component: str) -> bool:
        """Take a component off the network; False if it does not run or is off."""
        with self._lock:
            if component not in self._running() or component in self._unplugged:
                return False
            self._unplugged[component] = self.disconnect(component)
        return True

    def plug(self, component: str) -> bool:
        """Put a component on the network again, at the address it had."""
        with self._lock:
            put_back = self._unplugged.pop(component, None)
            if put_back is None:
                return False
            put_back()
            self._end_unheard(component)
        return True

    def partition(self, component: str, peer: str) -> bool:
        """Drop every packet between a component and the database (by the proxy) or clients."""
        with self._lock:
            if component not in self._running() or self._wire is None:
                return False
            # Both are at the proxy's address; clients are those that come to the server's port.
            port = self._server_port if component == SERVER else None
            netns.drop(self.pid(component), self._wire.host, port=port, all_but=peer != "clients")
            self._filtered.add(component)
        return True

    def lose_packets(self, component: str, percent: int) -> bool:
        """Drop so many of a hundred packets at random."""
        with self._lock:
            if component not in self._running():
                return False
            netns.lose(self.pid(component), percent)
            self._filtered.add(component)
        return True

    def stop_filtering(self, component: str) -> bool:
        """Drop nothing any more; False if nothing was dropped."""
        with self._lock:
            if component not in self._filtered or component not in self._running():
                return False
            self._filtered.discard(component)
            netns.drop_nothing(self.pid(component))
            self._end_unheard(component)
        return True

    def reset_connections(self, component: str) -> bool:
        """Reset all open connections of a component; False if there was none."""
        with self._lock:
            return component in self._running() and netns.reset(self.pid(component))

    def network_is_gone(self, component: str) -> None:
        """Forget a container's filter, which died with it; its next start is on its network."""
        self._filtered.discard(component)
        self.plug(component)

    def end_network_faults(self) -> None:
        """Heal the network of every component."""
        for component in (*self._unplugged, *self._filtered):
            self.plug(component)
            self.stop_filtering(component)

    def _end_unheard(self, component: str) -> None:
        """End what the database keeps of connections that died unheard, as its keepalive would."""
        if self._wire is not None and component in self._running():
            self._wire.cut(component)
