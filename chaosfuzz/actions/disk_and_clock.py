"""A full disk under the database, and a wrong clock on a worker."""

from chaosfuzz.actions.action import WORKER, Healing, InjectedFault, milliseconds
from chaosfuzz.actions.context import ActionContext
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import Ability, ClockSkewable, DiskFillable
from chaosfuzz.domain.component import ComponentRole, worker
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.schedule import Step

HOUR_MS = 3_600_000


class FillDisk(InjectedFault[DiskFillable]):
    """Fill the database's disk.

    A database that ends because of it is started again like any other.
    """

    name = "fill_disk"
    abilities = frozenset({Ability.DISK})
    strikes = ComponentRole.DATABASE
    parameters = ()
    lasts = True
    kind = FaultKind.DISK_FULL
    protocol = DiskFillable

    def inject(self, system: DiskFillable, component: str, step: Step) -> bool:
        """Leave the database no space."""
        return system.fill_disk()


class FreeDisk(Healing[DiskFillable]):
    """Free the database's disk."""

    name = "free_disk"
    weight = 3
    abilities = frozenset({Ability.DISK})
    strikes = ComponentRole.DATABASE
    parameters = ()
    heals = (FillDisk.name,)
    kind = FaultKind.DISK_FULL
    protocol = DiskFillable

    def undo(self, system: DiskFillable, component: str) -> bool:
        """Give the space back."""
        return system.free_disk()


class SkewClock(InjectedFault[ClockSkewable]):
    """Set a worker's wall clock wrong."""

    name = "skew_clock"
    abilities = frozenset({Ability.CLOCK})
    parameters = (
        WORKER,
        # Less than a lease of 600 ms, more than one, more than several, a minute, and a time zone.
        milliseconds(
            "ahead of time",
            low=-HOUR_MS,
            high=HOUR_MS,
            default=5000,
            drawn=(-300, 900, -5000, 60_000, HOUR_MS),
        ),
    )
    lasts = True
    kind = FaultKind.CLOCK_WRONG
    protocol = ClockSkewable

    def inject(self, system: ClockSkewable, component: str, step: Step) -> bool:
        """Set the clock wrong."""
        return system.skew_clock(component, step["ms"])

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Set the clock wrong; the fault is certain once that has returned."""
        performed = super().perform(step, context)
        context.confirm(self.kind, worker(step["worker"]))
        return performed


class RightClock(Healing[ClockSkewable]):
    """Set a worker's wall clock right."""

    name = "right_clock"
    abilities = frozenset({Ability.CLOCK})
    heals = (SkewClock.name,)
    kind = FaultKind.CLOCK_WRONG
    protocol = ClockSkewable

    def undo(self, system: ClockSkewable, component: str) -> bool:
        """Set the clock right."""
        return system.skew_clock(component, 0)


fill_disk = register(FillDisk())
free_disk = register(FreeDisk())
skew_clock = register(SkewClock())
right_clock = register(RightClock())
