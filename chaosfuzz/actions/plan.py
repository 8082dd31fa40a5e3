"""The plan's model: what a schedule has done so far, as far as its own steps tell."""

from dataclasses import dataclass, field

from chaosfuzz.domain.action import MAX_WORKERS
from chaosfuzz.domain.component import SERVER, Component, ComponentRole, worker


@dataclass(frozen=True, kw_only=True)
class WorkStyle:
    """What the tasks of one schedule are like, so that each schedule dwells on something.

    Tasks with priorities (`ranked`) come in crowds that pile up, others may be `delayed` or
    `failing`. They work for one of `durations_ms`.
    """

    ranked: bool = False
    delayed: bool = False
    failing: bool = False
    durations_ms: tuple[int, ...] = (0, 0, 10, 40)


@dataclass(kw_only=True)
class PlanModel:
    """State that follows from the steps of a schedule alone.

    Actions read it to say whether they are possible, and change it when a step is planned.
    `workers_*` hold worker slots. `in_force` holds the faults that last until they are healed,
    each by the name of its action and the component it acts on. `restart_policies` holds the
    policy's index for each worker slot that has one. `style` shapes the tasks that are drawn.
    """

    workers_up: set[int]
    workers_paused: set[int] = field(default_factory=set)
    workers_held: set[int] = field(default_factory=set)
    database_up: bool = True
    server_up: bool = True
    tasks_created: int = 0
    in_force: set[tuple[str, Component]] = field(default_factory=set)
    restart_policies: dict[int, int] = field(default_factory=dict)
    style: WorkStyle = field(default_factory=WorkStyle)

    @classmethod
    def of(cls, workers: int) -> "PlanModel":
        """Return the model of a fresh system with so many workers."""
        return cls(workers_up=set(range(1, workers + 1)))

    def is_up(self, component: Component | None) -> bool:
        """Say whether a component runs; None stands for the target as a whole."""
        if component is None or component.role is ComponentRole.CLIENT:
            return True
        if component.role is ComponentRole.WORKER:
            return component.slot in self.workers_up
        return self.server_up if component.role is ComponentRole.SERVER else self.database_up

    def free_slots(self) -> list[int]:
        """Return the worker slots in which no worker runs, in order."""
        return [slot for slot in range(1, MAX_WORKERS + 1) if slot not in self.workers_up]

    def slots_suffering(self, faults: tuple[str, ...]) -> list[int]:
        """Return the slots of the workers on which one of these faults is in force, in order."""
        suffering = {component for fault, component in self.in_force if fault in faults}
        return sorted(c.slot for c in suffering if c.role is ComponentRole.WORKER)

    def begin(self, fault: str, component: Component) -> None:
        """Note that a fault lasts on a component from now on."""
        self.in_force.add((fault, component))

    def heal(self, faults: tuple[str, ...], component: Component) -> None:
        """Note that these faults are over on a component."""
        self.in_force -= {(fault, component) for fault in faults}

    def end_worker(self, slot: int, *, comes_back: bool = False) -> None:
        """Note that a worker ended, and with it all it suffered; it may come back at once."""
        self.workers_paused.discard(slot)
        self.workers_held.discard(slot)
        self._forget(worker(slot))
        if not comes_back:
            self.workers_up.discard(slot)

    def end_server(self) -> None:
        """Note that the HTTP server ended, and with it all it suffered."""
        self.server_up = False
        self._forget(SERVER)

    def faults_in_force(self) -> int:
        """Return how many things are broken now."""
        kept_still = len(self.workers_paused) + len(self.workers_held)
        down = (not self.database_up) + (not self.server_up)
        return kept_still + down + len(self.in_force)

    def _forget(self, component: Component) -> None:
        self.in_force = {(fault, of) for fault, of in self.in_force if of != component}
