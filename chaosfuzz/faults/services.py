"""The database and the HTTP server going away."""

import time

from chaosfuzz.domain.action import STOP_MODES
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind, History
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import DatabaseStoppable, Killable, System
from chaosfuzz.faults.common import NOT_APPLICABLE, begin, end, lacks

DATABASE = "database"
SERVER = "server-1"


class DatabaseStop:
    """stop_database; healed by starting it."""

    actions = ("stop_database", "start_database")

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """Stop or start PostgreSQL."""
        if not isinstance(system, DatabaseStoppable):
            raise lacks(step.action)
        if step.action == "start_database":
            applied = system.start_database()
            end(history, FaultKind.DATABASE_DOWN, DATABASE)
            return Performed(applied=True) if applied else NOT_APPLICABLE
        if history.fault_in_force(FaultKind.DATABASE_DOWN):
            return NOT_APPLICABLE
        begin(history, FaultKind.DATABASE_DOWN, DATABASE)
        system.stop_database(STOP_MODES[step["mode"]])
        history.confirm_fault(FaultKind.DATABASE_DOWN, DATABASE, time.monotonic_ns())
        return Performed(applied=True)

    def heal(self, system: System, history: History) -> None:
        """Start the database if it is down."""
        if isinstance(system, DatabaseStoppable):
            system.start_database()
            end(history, FaultKind.DATABASE_DOWN, DATABASE)


class ServerStop:
    """stop_server, kill_server and restart_server; healed by starting it."""

    actions = ("stop_server", "kill_server", "restart_server", "start_server")

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """End or start the HTTP server."""
        if not isinstance(system, Killable):
            raise lacks(step.action)
        if step.action == "start_server":
            applied = system.start(SERVER)
            end(history, FaultKind.SERVER_DOWN, SERVER)
            return Performed(applied=True) if applied else NOT_APPLICABLE
        if history.fault_in_force(FaultKind.SERVER_DOWN):
            return NOT_APPLICABLE
        begin(history, FaultKind.SERVER_DOWN, SERVER)
        system.kill(SERVER, graceful=step.action != "kill_server")
        if step.action == "restart_server":
            system.start(SERVER)
            end(history, FaultKind.SERVER_DOWN, SERVER)
        return Performed(applied=True)

    def heal(self, system: System, history: History) -> None:
        """Start the server if it is down."""
        if isinstance(system, Killable):
            system.start(SERVER)
            end(history, FaultKind.SERVER_DOWN, SERVER)
