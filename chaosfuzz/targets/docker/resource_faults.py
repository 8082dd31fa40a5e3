"""Faults of the bundled system's containers: limits, wrong clocks and the database's full disk."""

import contextlib
import os
import struct
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.components import EXIT_TIMEOUT_S
from chaosfuzz.targets.docker.container import Container
from chaosfuzz.targets.docker.container_set import CPUS, MEMORY_BYTES, SERVER_PORT, ContainerSet
from chaosfuzz.targets.docker.database import VOLUME_PATH
from chaosfuzz.targets.docker.network_faults import NetworkFaults
from chaosfuzz.targets.keeper.process_tree import PROC, descendants_of, resident_bytes

_FILLER = "chaosfuzz-filler"
# Chosen by hand.
_LEAST_BYTES = 24 << 20
# Chosen by hand: how much a container may take before the kernel kills it.
_SPARE_BYTES = 16 << 20


class ResourceFaults(NetworkFaults):
    """Implements Limitable, DiskFillable and ClockSkewable for containers of a ContainerSet.

    A subclass calls `begin_faults` before any component starts.
    """

    def begin_faults(self, containers: ContainerSet) -> None:
        """Begin without faults."""
        self._containers = containers
        self._limited: dict[str, Container] = {}
        self._skewed: dict[str, Container] = {}
        self._disk_is_full = False
        self.begin_network_faults(containers.engine, SERVER_PORT)

    def limit_cpu(self, component: str, percent: int) -> bool:
        """Limit a component to this share of one processor; False if it does not run."""
        with self._lock:
            if component not in self._running():
                return False
            self._engine.limit(self._limit(component).identity, cpus=percent / 100)
        return True

    def limit_memory(self, component: str, megabytes: int) -> bool:
        """Limit a component to the memory in use and so much more, but at least 24 MB.

        Return False if it does not run or the kernel cannot lower the limit now.
        """
        with self._lock:
            running = component in self._running()
            return running and self._squeeze(self._limit(component), megabytes << 20)

    def lift_limits(self, component: str) -> bool:
        """Lift the limits of a component to the normal ones; False if they are normal."""
        with self._lock:
            container = self._limited.pop(component, None)
            if container is None:
                return False
            self._engine.limit(container.identity, cpus=CPUS, memory_bytes=MEMORY_BYTES)
            container.may_lack_memory(yes=False)
        return True

    def exhaust_memory(self, component: str) -> bool:
        """Have a container take memory until the kernel kills it; wait until it has ended.

        Return False if it does not run. Raises InfrastructureError if it lives ten seconds longer.
        """
        with self._lock:
            if component not in self._running():
                return False
            child = self._children[component]
            self._ordered.add(component)
            container = self._limit(component)
            # With less memory left the kill comes sooner. Some kernels refuse, and it takes longer.
            self._squeeze(container, _SPARE_BYTES)
            container.exhaust_memory()
            if child.wait(EXIT_TIMEOUT_S) is None:
                raise InfrastructureError(
                    cause=(
                        f"the kernel has not killed {component} within {EXIT_TIMEOUT_S:g} s, "
                        "although it takes all its memory"
                    ),
                    remedy=(
                        "turn swap off for containers, or leave out exhaust_memory; chaosfuzz "
                        "doctor says which faults containers can have here"
                    ),
                )
            if self._wire is not None:
                self._wire.cut(component)
            self._collect(component)
        return True

    def fill_disk(self) -> bool:
        """Fill the database's volume with a file; False if it is full."""
        with self._lock:
            if self._disk_is_full:
                return False
            filler = self._filler()
            with filler.open("wb") as file, contextlib.suppress(OSError):
                free = os.statvfs(filler)
                os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
            self._disk_is_full = True
        return True

    def free_disk(self) -> bool:
        """Remove the file that fills the database's volume; False if there is none."""
        with self._lock:
            if not self._disk_is_full:
                return False
            self._filler().unlink(missing_ok=True)
            self._disk_is_full = False
        return True

    def skew_clock(self, component: str, ms: int) -> bool:
        """Set a component's wall clock ahead, 0: right.

        Return False if it does not run, or was right and is to be right.
        """
        with self._lock:
            return component in self._running() and self._skew(component, ms)

    def container_ended(self, component: str) -> None:
        """Heal the network, the limits and the clock of a container that ended."""
        super().container_ended(component)
        self.lift_limits(component)
        self._skew(component, 0)

    def end_faults(self) -> None:
        """Heal everything."""
        self.end_network_faults()
        for component in tuple(self._limited):
            self.lift_limits(component)
        for component in tuple(self._skewed):
            self._skew(component, 0)
        self.free_disk()

    def _skew(self, component: str, ms: int) -> bool:
        container = self._skewed.pop(component, None) or self._containers.container(component)
        clock = container.directory / "clock"
        before = struct.unpack("q", clock.read_bytes())[0]
        # Written in place: the processes of the container have the file mapped.
        with clock.open("r+b") as file:
            file.write(struct.pack("q", ms * 10**6))
        if ms:
            self._skewed[component] = container
        return bool(ms or before)

    def _limit(self, component: str) -> Container:
        """Return the container, marked as limited."""
        container = self._limited.setdefault(component, self._containers.container(component))
        container.may_lack_memory(yes=True)
        return container

    def _squeeze(self, container: Container, spare_bytes: int) -> bool:
        """Limit the memory to what is in use and some more; False if the kernel refuses."""
        first = container.booted().first_pid
        used = sum(map(resident_bytes, (first, *descendants_of(first))))
        try:
            limit = max(_LEAST_BYTES, used + spare_bytes)
            self._engine.limit(container.identity, memory_bytes=limit)
        except InfrastructureError as error:
            if "busy" in str(error).lower():
                return False
            raise
        return True

    def _filler(self) -> Path:
        """Return the file that fills the volume, seen through the holder's file system."""
        pid = self._engine.first_pid(self._containers.holder)
        return PROC / str(pid) / "root" / VOLUME_PATH.lstrip("/") / _FILLER
