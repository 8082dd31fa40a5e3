"""Faults that are in force at the containers of one lane beside those of the network."""

import contextlib
import os
import struct
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.docker.container import Container
from chaosfuzz.targets.docker.container_set import CPUS, MEMORY_BYTES, ContainerSet
from chaosfuzz.targets.docker.database import VOLUME_PATH
from chaosfuzz.targets.keeper.process_tree import PROC, descendants_of, resident_bytes

_FILLER = "chaosfuzz-filler"
_LEAST_BYTES = 24 << 20
_SPARE_BYTES = 16 << 20


class ActiveFaults:
    """The limits, clocks and disk of the containers of one lane, by component."""

    def __init__(self, containers: ContainerSet) -> None:
        self._containers = containers
        self._limited: dict[str, Container] = {}
        self._skewed: dict[str, Container] = {}
        self.disk_is_full = False

    def limit_cpu(self, component: str, percent: int) -> bool:
        """Give less of a processor."""
        container = self._limited_container(component)
        self._containers.engine.limit(container.identity, cpus=percent / 100)
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
        self._containers.engine.limit(container.identity, cpus=CPUS, memory_bytes=MEMORY_BYTES)
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
        container = self._skewed.pop(component, None) or self._containers.container(component)
        was = struct.unpack("q", (container.directory / "clock").read_bytes())[0]
        with (container.directory / "clock").open("r+b") as file:
            file.write(struct.pack("q", ms * 10**6))
        if ms:
            self._skewed[component] = container
        return bool(ms or was)

    def died(self, component: str) -> None:
        """Take note that a container is gone."""
        self.lift_limits(component)
        self.skew_clock(component, 0)

    def end(self) -> None:
        """End everything."""
        for component in (*self._limited, *self._skewed):
            self.lift_limits(component)
            self.skew_clock(component, 0)
        self.free_disk()

    def _processes(self, container: Container) -> list[int]:
        first = container.booted().pid
        return [first, *descendants_of(first)]

    def _limited_container(self, component: str) -> Container:
        container = self._limited.setdefault(component, self._containers.container(component))
        container.may_lack_memory(yes=True)
        return container

    def _squeeze(self, container: Container, memory_bytes: int) -> bool:
        try:
            self._containers.engine.limit(container.identity, memory_bytes=memory_bytes)
        except InfrastructureError as error:
            if "busy" in str(error).lower():
                return False
            raise
        return True

    def _volume(self) -> Path:
        pid = self._containers.engine.state(self._containers.holder).pid
        return PROC / str(pid) / "root" / VOLUME_PATH.lstrip("/")
