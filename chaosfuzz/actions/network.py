"""The network of containers: taken away, partitioned, losing packets, reset."""

from typing import ClassVar

from chaosfuzz.actions.action import WORKER, Healing, InjectedFault
from chaosfuzz.actions.context import ActionContext
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import SERVER_PEERS, Ability, Filterable, Unpluggable
from chaosfuzz.domain.action import Parameter
from chaosfuzz.domain.component import CLIENT, SERVER, Component, ComponentRole
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.schedule import Step

# These cut the network between a worker and the database. Only one at a time has an effect.
_CUT_THE_NETWORK = ("disconnect_worker", "partition_worker", "lose_packets")
_DATABASE_PEER = SERVER_PEERS.index("database")


class DisconnectWorker(InjectedFault[Unpluggable]):
    """Take a worker's container off its network; neither FIN nor RST is sent."""

    name = "disconnect_worker"
    abilities = frozenset({Ability.NETWORK})
    lasts = True
    excludes = _CUT_THE_NETWORK
    kind = FaultKind.CUT_OFF
    protocol = Unpluggable

    def inject(self, system: Unpluggable, component: str, step: Step) -> bool:
        """Take the container off its network."""
        return system.unplug(component)


class ConnectWorker(Healing[Unpluggable]):
    """Put a worker's container on its network again, at the address it had."""

    name = "connect_worker"
    weight = 2
    abilities = frozenset({Ability.NETWORK})
    heals = (DisconnectWorker.name,)
    healing_turn = 3
    kind = FaultKind.CUT_OFF
    protocol = Unpluggable

    def undo(self, system: Unpluggable, component: str) -> bool:
        """Put the container on its network."""
        return system.plug(component)


class PacketFault(InjectedFault[Filterable]):
    """A packet filter on a worker that stays until its healing."""

    abilities = frozenset({Ability.FILTER})
    lasts = True
    excludes: ClassVar[tuple[str, ...]] = _CUT_THE_NETWORK
    kind = FaultKind.CUT_OFF
    protocol = Filterable


class FilterEnd(Healing[Filterable]):
    """An action that removes the packet filter of a component."""

    abilities = frozenset({Ability.FILTER})
    healing_turn = 4
    kind = FaultKind.CUT_OFF
    protocol = Filterable

    def undo(self, system: Filterable, component: str) -> bool:
        """Let every packet of the component pass."""
        return system.stop_filtering(component)


class PartitionWorker(PacketFault):
    """Drop every packet between a worker and the database."""

    name = "partition_worker"

    def inject(self, system: Filterable, component: str, step: Step) -> bool:
        """Drop every packet."""
        return system.partition(component, SERVER_PEERS[_DATABASE_PEER])


class RejoinWorker(FilterEnd):
    """Let every packet between a worker and the database pass again."""

    name = "rejoin_worker"
    weight = 2
    heals = (PartitionWorker.name,)


class PartitionServer(PacketFault):
    """Drop every packet between the HTTP server and its database or its clients."""

    name = "partition_server"
    abilities = frozenset({Ability.FILTER, Ability.SERVER})
    strikes = ComponentRole.SERVER
    parameters = (Parameter.choice("peer", "whom", SERVER_PEERS, drawn=(0, 1)),)
    excludes = ()

    def sufferer(self, step: Step) -> Component:
        """Return the server if it loses its database, else the client."""
        return SERVER if step["peer"] == _DATABASE_PEER else CLIENT

    def inject(self, system: Filterable, component: str, step: Step) -> bool:
        """Drop every packet between the server and the peer."""
        return system.partition(component, SERVER_PEERS[step["peer"]])


class RejoinServer(FilterEnd):
    """Let every packet of the HTTP server pass again."""

    name = "rejoin_server"
    weight = 2
    abilities = frozenset({Ability.FILTER, Ability.SERVER})
    strikes = ComponentRole.SERVER
    parameters = ()
    heals = (PartitionServer.name,)

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Remove the filter; the client, too, is no longer cut off."""
        performed = super().perform(step, context)
        context.end(self.kind, CLIENT)
        return performed


class LosePackets(PacketFault):
    """Drop so many of a hundred packets that a worker sends and receives."""

    name = "lose_packets"
    parameters = (
        WORKER,
        Parameter(
            name="percent",
            low=1,
            high=100,
            default=30,
            meaning="lost of a hundred",
            drawn=(10, 30, 60, 90),
        ),
    )

    def inject(self, system: Filterable, component: str, step: Step) -> bool:
        """Drop a share of the packets, each at random."""
        return system.lose_packets(component, step["percent"])


class RestorePackets(FilterEnd):
    """End the loss of packets that a worker sends and receives."""

    name = "restore_packets"
    heals = (LosePackets.name,)


class ResetConnections(InjectedFault[Filterable]):
    """Reset all open connections of a worker's container; it may connect again.

    Both ends of each connection receive an RST.
    """

    name = "reset_connections"
    abilities = frozenset({Ability.RESET})
    needs_up = (ComponentRole.DATABASE,)
    kind = FaultKind.CUT_OFF
    protocol = Filterable

    def inject(self, system: Filterable, component: str, step: Step) -> bool:
        """Reset the connections."""
        return system.reset_connections(component)


disconnect_worker = register(DisconnectWorker())
connect_worker = register(ConnectWorker())
partition_worker = register(PartitionWorker())
rejoin_worker = register(RejoinWorker())
partition_server = register(PartitionServer())
rejoin_server = register(RejoinServer())
lose_packets = register(LosePackets())
restore_packets = register(RestorePackets())
reset_connections = register(ResetConnections())
