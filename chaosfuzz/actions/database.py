"""Outages of the database, and the end of single sessions of it."""

from chaosfuzz.actions.action import WORKER, Action, Healing, InjectedFault
from chaosfuzz.actions.context import DONE, NOT_APPLICABLE, ActionContext
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.action import STOP_MODES, Parameter, Role
from chaosfuzz.domain.component import DATABASE, ComponentRole
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import BackendTerminable, DatabaseStoppable

_DISK_FULL = ("fill_disk", DATABASE)


class StopDatabase(Action):
    """Stop PostgreSQL.

    The modes `fast` and `immediate` are those of an administrator; `kill` is a crash.
    """

    name = "stop_database"
    role = Role.FAULT
    weight = 2
    abilities = frozenset({Ability.DATABASE})
    strikes = ComponentRole.DATABASE
    parameters = (Parameter.choice("mode", "how", STOP_MODES, drawn=(0, 1, 2), always_shown=True),)

    def possible(self, step: Step, model: PlanModel) -> bool:
        """Require a database that runs and has disk space."""
        return model.database_up and _DISK_FULL not in model.in_force

    def apply(self, step: Step, model: PlanModel) -> None:
        """Note that the database is down."""
        model.database_up = False

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Stop the database; the fault is certain once that has returned."""
        system = context.able(DatabaseStoppable, step)
        if context.history.fault_in_force(FaultKind.DATABASE_DOWN):
            return NOT_APPLICABLE
        context.begin(FaultKind.DATABASE_DOWN, DATABASE)
        system.stop_database(STOP_MODES[step["mode"]])
        context.confirm(FaultKind.DATABASE_DOWN, DATABASE)
        return DONE


class StartDatabase(Healing[DatabaseStoppable]):
    """Start PostgreSQL."""

    name = "start_database"
    weight = 3
    abilities = frozenset({Ability.DATABASE})
    strikes = ComponentRole.DATABASE
    parameters = ()
    heals = (StopDatabase.name,)
    healing_turn = 7
    kind = FaultKind.DATABASE_DOWN
    protocol = DatabaseStoppable

    def possible(self, step: Step, model: PlanModel) -> bool:
        """Require a database that is down and has disk space."""
        return not model.database_up and _DISK_FULL not in model.in_force

    def apply(self, step: Step, model: PlanModel) -> None:
        """Note that the database is up."""
        model.database_up = True

    def undo(self, system: DatabaseStoppable, component: str) -> bool:
        """Start the database and wait until it takes connections."""
        return system.start_database()


class TerminateBackend(InjectedFault[BackendTerminable]):
    """End a database session of one worker, or all it has.

    As pg_terminate_backend does. The worker may connect again at once.
    """

    name = "terminate_backend"
    abilities = frozenset({Ability.SESSIONS})
    needs_up = (ComponentRole.DATABASE,)
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
    kind = FaultKind.CUT_OFF
    protocol = BackendTerminable
    # A worker that has just ended may still have sessions.
    strikes_ended = True

    def inject(self, system: BackendTerminable, component: str, step: Step) -> bool:
        """End one or all sessions of the worker."""
        return system.terminate_backend(component, step["session"])


stop_database = register(StopDatabase())
start_database = register(StartDatabase())
terminate_backend = register(TerminateBackend())
