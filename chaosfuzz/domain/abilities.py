"""What a system in containers can suffer, ability by ability; each fault beside its healing."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from chaosfuzz.domain.container_actions import Restart


@runtime_checkable
class Unpluggable(Protocol):
    """Can have its components taken off the network."""

    def unplug(self, component: str) -> bool:
        """Take a component off its network; False if it does not run or is off."""
        ...

    def plug(self, component: str) -> bool:
        """Put it on again at the address it had; False if it is on."""
        ...


@runtime_checkable
class Filterable(Protocol):
    """Can have packets dropped, and connections reset, at its components."""

    def partition(self, component: str, peer: str) -> bool:
        """Drop what passes between a component and the database or the clients."""
        ...

    def lose_packets(self, component: str, percent: int) -> bool:
        """Drop so many of a hundred packets at random."""
        ...

    def stop_filtering(self, component: str) -> bool:
        """Drop nothing any more; False if nothing was dropped."""
        ...

    def reset_connections(self, component: str) -> bool:
        """Reset all open connections; False if there is none."""
        ...


@runtime_checkable
class Limitable(Protocol):
    """Can be given less of the machine while it runs."""

    def limit_cpu(self, component: str, percent: int) -> bool:
        """Give a component so many hundredths of a processor."""
        ...

    def limit_memory(self, component: str, megabytes: int) -> bool:
        """Leave a component so much beyond what it uses."""
        ...

    def lift_limits(self, component: str) -> bool:
        """Give what it had; False if it has."""
        ...

    def exhaust_memory(self, component: str) -> bool:
        """Have the kernel kill a component for lack of memory; waits until it is gone."""
        ...


@runtime_checkable
class DiskFillable(Protocol):
    """Can run out of disk."""

    def fill_disk(self) -> bool:
        """Leave the database no space; False if it has none."""
        ...

    def free_disk(self) -> bool:
        """Give the space back; False if nothing was taken."""
        ...


@runtime_checkable
class ClockSkewable(Protocol):
    """Can have wall clocks set wrong."""

    def skew_clock(self, component: str, ms: int) -> bool:
        """Set a component's clock ahead by so much, 0: right; False if it does not run."""
        ...


@runtime_checkable
class Restartable(Protocol):
    """Can have workers brought back that ended."""

    def set_restart_policy(self, component: str, policy: Restart) -> bool:
        """Say when a worker is started again; False if that holds already."""
        ...


@runtime_checkable
class Starvable(Protocol):
    """Can tell when its components did not get the processor they asked for."""

    def starved(self) -> Sequence[tuple[int, int]]:
        """Return the spans (began, ended) so far, by the monotonic clock."""
        ...
