"""Abilities of targets, and the protocols of systems in which containers are disturbed."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

Restart = Literal["never", "on-failure", "always"]
RESTART_POLICIES: tuple[Restart, ...] = ("never", "on-failure", "always")
# The peers from which a server can be partitioned.
SERVER_PEERS = ("database", "clients")


class Ability(StrEnum):
    """An ability of a target. Each action names those that it needs."""

    TASKS = "tasks"
    TASK_OPERATIONS = "task-operations"
    INQUIRIES = "inquiries"
    WORKERS = "workers"
    PAUSES = "pauses"
    SERVER = "server"
    DATABASE = "database"
    SESSIONS = "sessions"
    WIRE = "wire"
    REPLIES = "replies"
    NETWORK = "network"
    FILTER = "packet-filter"
    RESET = "reset"
    LIMITS = "limits"
    MEMORY = "memory"
    DISK = "disk"
    CLOCK = "clock"
    RESTART = "restart-policy"


# Only systems in containers have these.
CONTAINER_ABILITIES = frozenset(
    {
        Ability.NETWORK,
        Ability.FILTER,
        Ability.RESET,
        Ability.LIMITS,
        Ability.MEMORY,
        Ability.DISK,
        Ability.CLOCK,
        Ability.RESTART,
    }
)
# A job system made of processes, with a server, a database and a proxy between them, has these.
PROCESS_ABILITIES = frozenset(Ability) - CONTAINER_ABILITIES


@runtime_checkable
class Unpluggable(Protocol):
    """A system whose components can be taken off the network."""

    def unplug(self, component: str) -> bool:
        """Take a component off its network. Return False if it does not run or is off already."""
        ...

    def plug(self, component: str) -> bool:
        """Put a component on its network, at its old address. Return False if it is on already."""
        ...


@runtime_checkable
class Filterable(Protocol):
    """A system at whose components packets can be dropped and connections reset."""

    def partition(self, component: str, peer: str) -> bool:
        """Drop all packets between a component and a peer: `database` or `clients`.

        Return False if the component does not run or has a filter already.
        """
        ...

    def lose_packets(self, component: str, percent: int) -> bool:
        """Drop so many percent of a component's packets at random. Returns as `partition` does."""
        ...

    def stop_filtering(self, component: str) -> bool:
        """Remove the filter of a component. Return False if it has none or does not run."""
        ...

    def reset_connections(self, component: str) -> bool:
        """Reset all open connections of a component. Return False if it has none."""
        ...


@runtime_checkable
class Limitable(Protocol):
    """A system whose components can be given less processor and memory while they run."""

    def limit_cpu(self, component: str, percent: int) -> bool:
        """Limit a component to so many hundredths of a processor. Return False if it is down."""
        ...

    def limit_memory(self, component: str, megabytes: int) -> bool:
        """Limit a component to so many MB more than it uses. Return False if that fails."""
        ...

    def lift_limits(self, component: str) -> bool:
        """Lift the limits of a component. Return False if it had none."""
        ...

    def exhaust_memory(self, component: str) -> bool:
        """Have the kernel kill a component for lack of memory, and wait until it has ended.

        Return False if the component does not run.
        """
        ...


@runtime_checkable
class DiskFillable(Protocol):
    """A system whose database can run out of disk space."""

    def fill_disk(self) -> bool:
        """Leave the database no space. Return False if the disk is full already."""
        ...

    def free_disk(self) -> bool:
        """Give the space back. Return False if the disk is not full."""
        ...


@runtime_checkable
class ClockSkewable(Protocol):
    """A system in which wall clocks can be set wrong."""

    def skew_clock(self, component: str, ms: int) -> bool:
        """Set a component's clock ahead by `ms` (may be negative; 0 sets it right).

        Return False if the component does not run.
        """
        ...


@runtime_checkable
class Restartable(Protocol):
    """A system that can start workers again when they end."""

    def set_restart_policy(self, component: str, policy: Restart) -> bool:
        """Set when a worker is started again. Return False if it has that policy already."""
        ...


@runtime_checkable
class Starvable(Protocol):
    """A system that knows when its components waited for the processor."""

    def starved(self) -> Sequence[tuple[int, int]]:
        """Return the spans of waiting so far: (began, ended) in ns of the monotonic clock."""
        ...
