"""What the containers of one lane suffer just now, and the end of it."""

import contextlib
import os
import struct
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.docker import netns
from chaosfuzz.targets.docker.container import Container
from chaosfuzz.targets.docker.database import VOLUME_PATH
from chaosfuzz.targets.docker.rack import CPUS, MEMORY_BYTES, SERVER_PORT, Rack
from chaosfuzz.targets.keeper.process_tree import PROC, descendants_of
from chaosfuzz.targets.process.memory import resident_bytes

_FILLER = "chaosfuzz-filler"
_LEAST_BYTES = 24 << 20
_SPARE_BYTES = 16 << 20


class Suffering:
    """Faults of containers by component. One that has died has left its network faults behind."""

    def __init__(self, rack: Rack) -> None:
        self._rack = rack
        self._unplugged: dict[str, Container] = {}
        self._filtered: set[str] = set()
        self._limited: dict[str, Container] = {}
        self._skewed: dict[str, Container] = {}
        self.disk_is_full = False

    def unplug(self, component: str) -> bool:
        """Take a container off the network, unless it is."""
        if component in self._unplugged:
            return False
        container = self._rack.container(component)
        self._rack.engine.disconnect(self._rack.network.identity, container.identity)
        self._unplugged[component] = container
        return True

    def plug(self, component: str) -> bool:
        """Put a container on the network again."""
        container = self._unplugged.pop(component, None)
        if container is None:
            return False
        plan = container.plan
        assert plan.address is not None
        network = self._rack.network.identity
        self._rack.engine.connect(network, container.identity, plan.address, plan.aliases)
        return True

    def partition(self, component: str, peer: str) -> bool:
        """Drop what passes between a container and the database (by the proxy) or clients."""
        # Both are at the gateway; clients are those that come to the server's port.
        serves = component.startswith("server")
        netns.drop(
            self._pid(component),
            self._rack.network.gateway,
            port=SERVER_PORT if serves else None,
            all_but=peer != "clients",
        )
        self._filtered.add(component)
        return True

    def lose_packets(self, component: str, percent: int) -> bool:
        """Drop packets at random."""
        netns.lose(self._pid(component), percent)
        self._filtered.add(component)
        return True

    def stop_filtering(self, component: str) -> bool:
        """Drop nothing any more."""
        if component not in self._filtered:
            return False
        self._filtered.discard(component)
        netns.drop_nothing(self._pid(component))
        return True

    def reset_connections(self, component: str) -> bool:
        """Reset what is open."""
        return netns.reset(self._pid(component))

    def limit_cpu(self, component: str, percent: int) -> bool:
        """Give less of a processor."""
        container = self._limited_container(component)
        self._rack.engine.limit(container.identity, cpus=percent / 100)
        return True

    def limit_memory(self, component: str, spare_bytes: int) -> bool:
        """Leave so much beyond what it uses; False if the kernel cannot do so."""
        container = self._limited_container(component)
        used = sum(map(resident_bytes, self._processes(container)))
        return self._squeeze(container, max(_LEAST_BYTES, used + spare_bytes))

    def lift_limits(self, component: str) -> bool:
        """Give what it had."""
        container = self._limited.pop(component, None)
        if container is None:
            return False
        self._rack.engine.limit(container.identity, cpus=CPUS, memory_bytes=MEMORY_BYTES)
        container.may_lack_memory(yes=False)
        return True

    def exhaust_memory(self, component: str) -> None:
        """Have a container take more memory than it may; the kernel kills what is in it."""
        container = self._limited_container(component)
        used = sum(map(resident_bytes, self._processes(container)))
        # The less there is left, the sooner it is over; some kernels refuse, and it takes longer.
        self._squeeze(container, max(_LEAST_BYTES, used + _SPARE_BYTES))
        container.exhaust_memory()

    def is_limited(self, component: str) -> bool:
        """Say whether a container may be killed for lack of memory."""
        return component in self._limited

    def fill_disk(self) -> bool:
        """Leave the database no space."""
        if self.disk_is_full:
            return False
        filler = self._volume() / _FILLER
        with filler.open("wb") as file, contextlib.suppress(OSError):
            free = os.statvfs(filler)
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
        self.disk_is_full = True
        return True

    def free_disk(self) -> bool:
        """Give the space back."""
        if not self.disk_is_full:
            return False
        (self._volume() / _FILLER).unlink(missing_ok=True)
        self.disk_is_full = False
        return True

    def skew_clock(self, component: str, ms: int) -> bool:
        """Set a container's wall clock ahead."""
        container = self._skewed.pop(component, None) or self._rack.container(component)
        was = struct.unpack("q", (container.directory / "clock").read_bytes())[0]
        with (container.directory / "clock").open("r+b") as file:
            file.write(struct.pack("q", ms * 10**6))
        if ms:
            self._skewed[component] = container
        return bool(ms or was)

    def died(self, component: str) -> None:
        """Take note that a container is gone, and with it its network."""
        self._filtered.discard(component)
        self.plug(component)
        self.lift_limits(component)
        self.skew_clock(component, 0)

    def end(self) -> None:
        """End everything."""
        for component in (*self._unplugged, *self._filtered, *self._limited, *self._skewed):
            self.plug(component)
            self.stop_filtering(component)
            self.lift_limits(component)
            self.skew_clock(component, 0)
        self.free_disk()

    def _pid(self, component: str) -> int:
        return self._rack.container(component).booted().pid

    def _processes(self, container: Container) -> list[int]:
        first = container.booted().pid
        return [first, *descendants_of(first)]

    def _limited_container(self, component: str) -> Container:
        container = self._limited.setdefault(component, self._rack.container(component))
        container.may_lack_memory(yes=True)
        return container

    def _squeeze(self, container: Container, memory_bytes: int) -> bool:
        try:
            self._rack.engine.limit(container.identity, memory_bytes=memory_bytes)
        except InfrastructureError as error:
            if "busy" in str(error).lower():
                return False
            raise
        return True

    def _volume(self) -> Path:
        pid = self._rack.engine.state(self._rack.holder).pid
        return PROC / str(pid) / "root" / VOLUME_PATH.lstrip("/")
