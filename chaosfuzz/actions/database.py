"""The database going away, and single sessions of it."""

from chaosfuzz.actions.action import WORKER, Action, WorkerFault
from chaosfuzz.actions.context import NOT_APPLICABLE, ActionContext, applied
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.action import STOP_MODES, Parameter, Role
from chaosfuzz.domain.component import DATABASE, Component, ComponentRole
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import BackendTerminable, DatabaseStoppable

_DISK_FULL = ("fill_disk", DATABASE)


class StopDatabase(Action):
    """stop_database: as an administrator stops it, or a crash."""

    name = "stop_database"
    summary = "stop PostgreSQL"
    role = Role.FAULT
    weight = 2
    abilities = frozenset({Ability.DATABASE})
    strikes = ComponentRole.DATABASE
    parameters = (
        Parameter(
            name="mode",
            low=0,
            high=2,
            default=0,
            meaning="how",
            labels=STOP_MODES,
            drawn=(0, 1, 2),
            always_shown=True,
        ),
    )
    healing_turn = 7

    def possible(self, step: Step, model: PlanModel) -> bool:
        """The database runs; one without disk space is left alone."""
        return model.database_up and _DISK_FULL not in model.in_force

    def apply(self, step: Step, model: PlanModel) -> None:
        """Stop the database."""
        model.database_up = False

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Stop the database; from then on it certainly is down."""
        system = context.able(DatabaseStoppable, step)
        if context.history.fault_in_force(FaultKind.DATABASE_DOWN):
            return NOT_APPLICABLE
        context.begin(FaultKind.DATABASE_DOWN, DATABASE)
        system.stop_database(STOP_MODES[step["mode"]])
        context.confirm(FaultKind.DATABASE_DOWN, DATABASE)
        return Performed(applied=True)

    def heal(self, context: ActionContext) -> None:
        """Start the database if it is down."""
        if isinstance(context.system, DatabaseStoppable):
            context.system.start_database()
            context.end(FaultKind.DATABASE_DOWN, DATABASE)


class StartDatabase(Action):
    """start_database."""

    name = "start_database"
    summary = "start PostgreSQL"
    role = Role.HEAL
    weight = 3
    abilities = frozenset({Ability.DATABASE})
    strikes = ComponentRole.DATABASE
    heals = (StopDatabase.name,)

    def possible(self, step: Step, model: PlanModel) -> bool:
        """The database is down; one without disk space is left alone."""
        return not model.database_up and _DISK_FULL not in model.in_force

    def apply(self, step: Step, model: PlanModel) -> None:
        """Start the database."""
        model.database_up = True

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Start the database and wait until it takes connections."""
        started = context.able(DatabaseStoppable, step).start_database()
        context.end(FaultKind.DATABASE_DOWN, DATABASE)
        return applied(done=started)


class TerminateBackend(WorkerFault):
    """terminate_backend: as pg_terminate_backend; a client connects again by itself."""

    name = "terminate_backend"
    summary = "end a database session of one worker, or all it has"
    role = Role.FAULT
    weight = 1
    abilities = frozenset({Ability.SESSIONS})
    parameters = (
        WORKER,
        Parameter(
            name="session",
            low=0,
            high=4,
            default=0,
            meaning="oldest is 1; 0 for all",
            drawn=(0, 1, 2, 3),
        ),
    )

    def possible(self, step: Step, model: PlanModel) -> bool:
        """The worker runs, and so does the database."""
        return super().possible(step, model) and model.database_up

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """End one or all sessions, also of a worker that has just ended."""
        target = self.target_of(step)
        assert target is not None
        return self.strike(step, target, context)

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """End one or all sessions of the worker."""
        system = context.able(BackendTerminable, step)
        context.begin(FaultKind.CUT_OFF, target)
        done = system.terminate_backend(str(target), step["session"])
        context.end(FaultKind.CUT_OFF, target)
        return applied(done=done)


stop_database = register(StopDatabase())
start_database = register(StartDatabase())
terminate_backend = register(TerminateBackend())
