"""What only containers can suffer: their network, their limits, their disk, their clock."""

import time

from chaosfuzz.domain.abilities import (
    ClockSkewable,
    DiskFillable,
    Filterable,
    Limitable,
    Restartable,
    Unpluggable,
)
from chaosfuzz.domain.container_actions import RESTART_POLICIES, SERVER_PEERS
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind, History
from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import System
from chaosfuzz.faults.common import NOT_APPLICABLE, begin, end, end_all, lacks, worker_name
from chaosfuzz.faults.services import DATABASE, SERVER


def _applied(history: History, kind: FaultKind, name: str, *, done: bool) -> Performed:
    """Tell what became of a fault that was recorded before it was tried."""
    if done:
        return Performed(applied=True)
    end(history, kind, name)
    return NOT_APPLICABLE


def _healed(history: History, kind: FaultKind, name: str, *, done: bool) -> Performed:
    end(history, kind, name)
    return Performed(applied=True) if done else NOT_APPLICABLE


class Unplugging:
    """disconnect_worker; healed by connecting it at the address it had."""

    actions = ("disconnect_worker", "connect_worker")

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """Take a worker off its network, or put it on again."""
        if not isinstance(system, Unpluggable):
            raise lacks(step.action)
        name = worker_name(step["worker"])
        if step.action == "connect_worker":
            return _healed(history, FaultKind.CUT_OFF, name, done=system.plug(name))
        if name not in system.worker_names():
            return NOT_APPLICABLE
        begin(history, FaultKind.CUT_OFF, name)
        return _applied(history, FaultKind.CUT_OFF, name, done=system.unplug(name))

    def heal(self, system: System, history: History) -> None:
        """Put every worker on the network again."""
        if isinstance(system, Unpluggable):
            for name in system.worker_names():
                system.plug(name)
            end_all(history, FaultKind.CUT_OFF)


class Filtering:
    """Partitions, lost packets and resets; healed by letting everything pass."""

    actions = (
        *("partition_worker", "rejoin_worker", "partition_server", "rejoin_server"),
        *("lose_packets", "restore_packets", "reset_connections"),
    )

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """Drop packets, drop none any more, or reset what is open."""
        if not isinstance(system, Filterable):
            raise lacks(step.action)
        if step.action in {"partition_server", "rejoin_server"}:
            return self._server(step, system, history)
        name = worker_name(step["worker"])
        if step.action in {"rejoin_worker", "restore_packets"}:
            return _healed(history, FaultKind.CUT_OFF, name, done=system.stop_filtering(name))
        if name not in system.worker_names():
            return NOT_APPLICABLE
        begin(history, FaultKind.CUT_OFF, name)
        if step.action == "reset_connections":
            done = system.reset_connections(name)
            end(history, FaultKind.CUT_OFF, name)
            return Performed(applied=True) if done else NOT_APPLICABLE
        if step.action == "lose_packets":
            done = system.lose_packets(name, step["percent"])
        else:
            done = system.partition(name, SERVER_PEERS[0])
        return _applied(history, FaultKind.CUT_OFF, name, done=done)

    def _server(self, step: Step, system: Filterable, history: History) -> Performed:
        if step.action == "rejoin_server":
            done = system.stop_filtering(SERVER)
            end(history, FaultKind.CUT_OFF, CLIENT)
            return _healed(history, FaultKind.CUT_OFF, SERVER, done=done)
        # Who is cut off from the server are its clients.
        name = SERVER if step["peer"] == 0 else CLIENT
        begin(history, FaultKind.CUT_OFF, name)
        done = system.partition(SERVER, SERVER_PEERS[step["peer"]])
        return _applied(history, FaultKind.CUT_OFF, name, done=done)

    def heal(self, system: System, history: History) -> None:
        """Let every packet pass."""
        if not isinstance(system, Filterable):
            return
        for name in (*system.worker_names(), SERVER):
            system.stop_filtering(name)
        end_all(history, FaultKind.CUT_OFF)


class Limits:
    """Less processor and memory; healed by giving what it had. One killed has to be started."""

    actions = ("limit_cpu", "limit_memory", "lift_limits", "exhaust_memory")

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """Limit a worker, lift its limits, or have the kernel kill it."""
        if not isinstance(system, Limitable):
            raise lacks(step.action)
        name = worker_name(step["worker"])
        if step.action == "lift_limits":
            return _healed(history, FaultKind.SLOWED, name, done=system.lift_limits(name))
        if name not in system.worker_names():
            return NOT_APPLICABLE
        if step.action == "exhaust_memory":
            begin(history, FaultKind.KILLED, name)
            done = system.exhaust_memory(name)
            end(history, FaultKind.KILLED, name)
            end(history, FaultKind.PAUSED, name)
            return Performed(applied=True) if done else NOT_APPLICABLE
        begin(history, FaultKind.SLOWED, name)
        if step.action == "limit_cpu":
            done = system.limit_cpu(name, step["percent"])
        else:
            done = system.limit_memory(name, step["mb"])
        return _applied(history, FaultKind.SLOWED, name, done=done)

    def heal(self, system: System, history: History) -> None:
        """Lift all limits."""
        if isinstance(system, Limitable):
            for name in system.worker_names():
                system.lift_limits(name)
            end_all(history, FaultKind.SLOWED)


class DiskFilling:
    """fill_disk; healed by freeing it. A database that ended of it is started as any other."""

    actions = ("fill_disk", "free_disk")

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """Fill the database's disk, or free it."""
        if not isinstance(system, DiskFillable):
            raise lacks(step.action)
        if step.action == "free_disk":
            done = system.free_disk()
            return _healed(history, FaultKind.DISK_FULL, DATABASE, done=done)
        begin(history, FaultKind.DISK_FULL, DATABASE)
        return _applied(history, FaultKind.DISK_FULL, DATABASE, done=system.fill_disk())

    def heal(self, system: System, history: History) -> None:
        """Free the disk."""
        if isinstance(system, DiskFillable) and system.free_disk():
            end(history, FaultKind.DISK_FULL, DATABASE)


class ClockSkew:
    """skew_clock; healed by setting the clock right."""

    actions = ("skew_clock", "right_clock")

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """Set a worker's clock wrong or right."""
        if not isinstance(system, ClockSkewable):
            raise lacks(step.action)
        name = worker_name(step["worker"])
        if step.action == "right_clock":
            done = system.skew_clock(name, 0)
            return _healed(history, FaultKind.CLOCK_WRONG, name, done=done)
        begin(history, FaultKind.CLOCK_WRONG, name)
        done = system.skew_clock(name, step["ms"])
        history.confirm_fault(FaultKind.CLOCK_WRONG, name, time.monotonic_ns())
        return _applied(history, FaultKind.CLOCK_WRONG, name, done=done)

    def heal(self, system: System, history: History) -> None:
        """Set every clock right."""
        if isinstance(system, ClockSkewable):
            for name in system.worker_names():
                system.skew_clock(name, 0)
            end_all(history, FaultKind.CLOCK_WRONG)


class RestartPolicy:
    """set_restart_policy; a system begins without, so there is nothing to heal."""

    actions = ("set_restart_policy",)

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """Say when a worker is started again."""
        if not isinstance(system, Restartable):
            raise lacks(step.action)
        name, policy = worker_name(step["worker"]), RESTART_POLICIES[step["policy"]]
        return Performed(applied=system.set_restart_policy(name, policy))

    def heal(self, system: System, history: History) -> None:
        """Leave it: whoever comes back by it is whole."""
