"""What a target may be able to do, ability by ability; protocols of what containers can suffer."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

Restart = Literal["never", "on-failure", "always"]
RESTART_POLICIES: tuple[Restart, ...] = ("never", "on-failure", "always")
# Whom a server can be partitioned from.
SERVER_PEERS = ("database", "clients")


class Ability(StrEnum):
    """What a target offers to actions; each action names those it needs."""

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


# What only containers can suffer.
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
