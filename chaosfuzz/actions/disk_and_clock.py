"""A full disk under the database, and a wrong clock on a worker."""

from chaosfuzz.actions.action import WORKER, Action, WorkerFault
from chaosfuzz.actions.context import ActionContext, applied
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import Ability, ClockSkewable, DiskFillable
from chaosfuzz.domain.action import Parameter, Role
from chaosfuzz.domain.component import DATABASE, Component, ComponentRole, worker
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.schedule import Step

HOUR_MS = 3_600_000


class FillDisk(Action):
    """fill_disk; a database that ends of it is started as any other."""

    name = "fill_disk"
    summary = "fill the database's disk"
    role = Role.FAULT
    weight = 1
    abilities = frozenset({Ability.DISK})
    strikes = ComponentRole.DATABASE
    lasts = True

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Leave the database no space."""
        system = context.able(DiskFillable, step)
        context.begin(FaultKind.DISK_FULL, DATABASE)
        return context.settle(FaultKind.DISK_FULL, DATABASE, done=system.fill_disk())

    def heal(self, context: ActionContext) -> None:
        """Free the disk."""
        if isinstance(context.system, DiskFillable) and context.system.free_disk():
            context.end(FaultKind.DISK_FULL, DATABASE)


class FreeDisk(Action):
    """free_disk."""

    name = "free_disk"
    summary = "free the database's disk"
    role = Role.HEAL
    weight = 3
    abilities = frozenset({Ability.DISK})
    strikes = ComponentRole.DATABASE
    heals = (FillDisk.name,)

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Give the space back."""
        done = context.able(DiskFillable, step).free_disk()
        context.end(FaultKind.DISK_FULL, DATABASE)
        return applied(done=done)


class SkewClock(WorkerFault):
    """skew_clock."""

    name = "skew_clock"
    summary = "set a worker's wall clock wrong"
    role = Role.FAULT
    weight = 1
    abilities = frozenset({Ability.CLOCK})
    parameters = (
        WORKER,
        Parameter(
            name="ms",
            low=-HOUR_MS,
            high=HOUR_MS,
            default=5000,
            meaning="ahead of time",
            # Less than a lease of 600 ms, more than one, a minute, and a time zone.
            drawn=(-300, 900, -5000, 60_000, HOUR_MS),
            always_shown=True,
            costly=True,
        ),
    )
    lasts = True

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """Set the clock wrong; from then on it certainly is."""
        system = context.able(ClockSkewable, step)
        context.begin(FaultKind.CLOCK_WRONG, target)
        done = system.skew_clock(str(target), step["ms"])
        context.confirm(FaultKind.CLOCK_WRONG, target)
        return context.settle(FaultKind.CLOCK_WRONG, target, done=done)

    def heal(self, context: ActionContext) -> None:
        """Set every clock right."""
        if isinstance(context.system, ClockSkewable):
            for name in context.system.worker_names():
                context.system.skew_clock(name, 0)
            context.end_all(FaultKind.CLOCK_WRONG)


class RightClock(Action):
    """right_clock."""

    name = "right_clock"
    summary = "set its wall clock right"
    role = Role.HEAL
    weight = 1
    abilities = frozenset({Ability.CLOCK})
    strikes = ComponentRole.WORKER
    parameters = (WORKER,)
    heals = (SkewClock.name,)

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Set the clock right."""
        target = worker(step["worker"])
        done = context.able(ClockSkewable, step).skew_clock(str(target), 0)
        context.end(FaultKind.CLOCK_WRONG, target)
        return applied(done=done)


fill_disk = register(FillDisk())
free_disk = register(FreeDisk())
skew_clock = register(SkewClock())
right_clock = register(RightClock())
