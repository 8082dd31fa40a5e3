"""The network of containers: taken away, partitioned, losing packets, reset."""

from chaosfuzz.actions.action import WORKER, Action, WorkerFault
from chaosfuzz.actions.context import ActionContext, applied
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import SERVER_PEERS, Ability, Filterable, Unpluggable
from chaosfuzz.domain.action import Parameter, Role
from chaosfuzz.domain.component import CLIENT, SERVER, Component, ComponentRole, worker
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.schedule import Step

# These cut the network between a worker and the database. Only one at a time has an effect.
_CUT_THE_NETWORK = ("disconnect_worker", "partition_worker", "lose_packets")
_DATABASE_PEER = SERVER_PEERS.index("database")


class NetworkFault(WorkerFault):
    """A fault of a worker's network that stays until it is healed."""

    role = Role.FAULT
    weight = 1
    lasts = True
    excludes = _CUT_THE_NETWORK


class DisconnectWorker(NetworkFault):
    """disconnect_worker: neither FIN nor RST is sent."""

    name = "disconnect_worker"
    summary = "take a worker's container off its network; nothing says goodbye"
    abilities = frozenset({Ability.NETWORK})
    healing_turn = 3

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """Take the worker off its network."""
        system = context.able(Unpluggable, step)
        context.begin(FaultKind.CUT_OFF, target)
        return context.settle(FaultKind.CUT_OFF, target, done=system.unplug(str(target)))

    def heal(self, context: ActionContext) -> None:
        """Put every worker on the network again."""
        if isinstance(context.system, Unpluggable):
            for name in context.system.worker_names():
                context.system.plug(name)
            context.end_all(FaultKind.CUT_OFF)


class ConnectWorker(Action):
    """connect_worker."""

    name = "connect_worker"
    summary = "put it on the network again, same address"
    role = Role.HEAL
    weight = 2
    abilities = frozenset({Ability.NETWORK})
    strikes = ComponentRole.WORKER
    parameters = (WORKER,)
    heals = (DisconnectWorker.name,)

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Put the worker on its network at the address it had."""
        target = worker(step["worker"])
        done = context.able(Unpluggable, step).plug(str(target))
        context.end(FaultKind.CUT_OFF, target)
        return applied(done=done)


class PartitionWorker(NetworkFault):
    """partition_worker."""

    name = "partition_worker"
    summary = "drop every packet between a worker and the database"
    abilities = frozenset({Ability.FILTER})
    healing_turn = 4

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """Drop every packet."""
        system = context.able(Filterable, step)
        context.begin(FaultKind.CUT_OFF, target)
        done = system.partition(str(target), SERVER_PEERS[_DATABASE_PEER])
        return context.settle(FaultKind.CUT_OFF, target, done=done)

    def heal(self, context: ActionContext) -> None:
        """Let every packet pass, of the workers and of the server."""
        if isinstance(context.system, Filterable):
            for name in (*context.system.worker_names(), str(SERVER)):
                context.system.stop_filtering(name)
            context.end_all(FaultKind.CUT_OFF)


class FilterEnd(Action):
    """An action after which every packet of a component passes again."""

    role = Role.HEAL
    abilities = frozenset({Ability.FILTER})

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Drop no packets any more."""
        target = self.target_of(step)
        assert target is not None
        done = context.able(Filterable, step).stop_filtering(str(target))
        if target == SERVER:
            context.end(FaultKind.CUT_OFF, CLIENT)
        context.end(FaultKind.CUT_OFF, target)
        return applied(done=done)


class RejoinWorker(FilterEnd):
    """rejoin_worker."""

    name = "rejoin_worker"
    summary = "let its packets pass again"
    weight = 2
    strikes = ComponentRole.WORKER
    parameters = (WORKER,)
    heals = (PartitionWorker.name,)


class PartitionServer(Action):
    """partition_server: from the database, or from the clients."""

    name = "partition_server"
    summary = "drop every packet between the HTTP server and its database or its clients"
    role = Role.FAULT
    weight = 1
    abilities = frozenset({Ability.FILTER, Ability.SERVER})
    strikes = ComponentRole.SERVER
    parameters = (
        Parameter(
            name="peer",
            low=0,
            high=1,
            default=0,
            meaning="whom",
            labels=SERVER_PEERS,
            drawn=(0, 1),
        ),
    )
    lasts = True

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Drop every packet; with the clients as peers it is they who are cut off."""
        system = context.able(Filterable, step)
        suffering = SERVER if step["peer"] == _DATABASE_PEER else CLIENT
        context.begin(FaultKind.CUT_OFF, suffering)
        done = system.partition(str(SERVER), SERVER_PEERS[step["peer"]])
        return context.settle(FaultKind.CUT_OFF, suffering, done=done)


class RejoinServer(FilterEnd):
    """rejoin_server."""

    name = "rejoin_server"
    summary = "let its packets pass again"
    weight = 2
    abilities = frozenset({Ability.FILTER, Ability.SERVER})
    strikes = ComponentRole.SERVER
    heals = (PartitionServer.name,)


class LosePackets(NetworkFault):
    """lose_packets."""

    name = "lose_packets"
    summary = "drop so many of a hundred packets that a worker sends and receives"
    weight = 1
    abilities = frozenset({Ability.FILTER})
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

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """Drop a share of the packets at random."""
        system = context.able(Filterable, step)
        context.begin(FaultKind.CUT_OFF, target)
        done = system.lose_packets(str(target), step["percent"])
        return context.settle(FaultKind.CUT_OFF, target, done=done)


class RestorePackets(FilterEnd):
    """restore_packets."""

    name = "restore_packets"
    summary = "lose no more packets"
    weight = 1
    strikes = ComponentRole.WORKER
    parameters = (WORKER,)
    heals = (LosePackets.name,)


class ResetConnections(WorkerFault):
    """reset_connections: RST, both ways."""

    name = "reset_connections"
    summary = "reset all open connections of a worker's container; it may connect again"
    role = Role.FAULT
    weight = 1
    abilities = frozenset({Ability.RESET})

    def possible(self, step: Step, model: PlanModel) -> bool:
        """The worker runs, and so does the database."""
        return super().possible(step, model) and model.database_up

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """Reset the connections."""
        system = context.able(Filterable, step)
        context.begin(FaultKind.CUT_OFF, target)
        done = system.reset_connections(str(target))
        context.end(FaultKind.CUT_OFF, target)
        return applied(done=done)


disconnect_worker = register(DisconnectWorker())
connect_worker = register(ConnectWorker())
partition_worker = register(PartitionWorker())
rejoin_worker = register(RejoinWorker())
partition_server = register(PartitionServer())
rejoin_server = register(RejoinServer())
lose_packets = register(LosePackets())
restore_packets = register(RestorePackets())
reset_connections = register(ResetConnections())
