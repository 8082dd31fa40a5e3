"""The plan's model: the state of the system that follows from the steps of a schedule alone."""

from dataclasses import dataclass, field

from chaosfuzz.domain.action import MAX_WORKERS
from chaosfuzz.domain.component import SERVER, Component, ComponentRole, worker


@dataclass(frozen=True, kw_only=True)
class WorkStyle:
    """The kind of tasks that one schedule creates.

    `ranked` tasks have different priorities and are created many at a time, so that they wait.
    Tasks may be `delayed` or `failing`. Each works for one of `durations_ms`.
    """

    ranked: bool = False
    delayed: bool = False
    failing: bool = False
    durations_ms: tuple[int, ...] = (0, 0, 10, 40)


@dataclass(kw_only=True)
class PlanModel:
    """State that follows from the steps of a schedule alone.

    Actions read it to say whether they are possible, and change it when a step is planned.
    `workers_up` has worker slots. `in_force` has the faults that last until they are healed, each
    with the name of its action and the component it acts on. `restart_policies` has the index of
    the policy of each worker slot that has one. `style` is the kind of tasks that are drawn.
    """

    workers_up: set[int]
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

    def slots_with(self, faults: tuple[str, ...]) -> list[int]:
        """Return the slots of the workers on which one of these faults is in force, in order."""
        components = {component for fault, component in self.in_force if fault in faults}
        return sorted(c.slot for c in components if c.role is ComponentRole.WORKER)

    def slots_without(self, fault: str) -> list[int]:
        """Return the slots of the workers that run and on which the fault is not in force."""
        return sorted(self.workers_up.difference(self.slots_with((fault,))))

    def begin(self, fault: str, component: Component) -> None:
        """Note that a fault lasts on a component from now on."""
        self.in_force.add((fault, component))

    def heal(self, faults: tuple[str, ...], component: Component) -> None:
        """Note that these faults are over on a component."""
        self.in_force -= {(fault, component) for fault in faults}

    def end_worker(self, slot: int, *, comes_back: bool = False) -> None:
        """Note that a worker ended, and all its faults with it; it may come back at once."""
        self._forget(worker(slot))
        if not comes_back:
            self.workers_up.discard(slot)

    def kill_worker(self, slot: int) -> None:
        """Note that a worker was killed; it is back at once if its restart policy says so."""
        self.end_worker(slot, comes_back=bool(self.restart_policies.get(slot)))

    def end_server(self) -> None:
        """Note that the HTTP server ended, and all its faults with it."""
        self.server_up = False
        self._forget(SERVER)

    def faults_in_force(self) -> int:
        """Return how many faults are in force now; a database or server that is down counts."""
        return (not self.database_up) + (not self.server_up) + len(self.in_force)

    def _forget(self, component: Component) -> None:
        self.in_force = {(fault, of) for fault, of in self.in_force if of != component}
