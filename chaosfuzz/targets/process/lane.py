"""Lanes of the reference system as processes: a cluster, and a keeper to fork from."""

import itertools
import sys
from contextlib import ExitStack
from pathlib import Path

from chaosfuzz.domain.target import MakeWire
from chaosfuzz.reference.schema import SCHEMA
from chaosfuzz.targets.components import SERVER
from chaosfuzz.targets.keeper import Child, Keeper
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.postgres.database import (
    READY_TIMEOUT_S,
    Address,
    Database,
    EmbeddedDatabase,
    SingleUseDatabase,
    run_sql,
)
from chaosfuzz.targets.postgres.lane import PostgresLane
from chaosfuzz.targets.process.system import ReferenceSystem
from chaosfuzz.targets.process.tuning import PREPARED, Tuning, entry_of
from chaosfuzz.targets.process.users import Users

_READY_DESCRIPTOR = 3


def apply_schema(address: Address, users: Users) -> None:
    """Create the reference system's tables and the users in an empty database."""
    script = (SCHEMA + users.script()).encode()
    run_sql(address, script, "the bundled system's schema", "run: chaosfuzz doctor")


class ProcessLane(PostgresLane[ReferenceSystem]):
    """A keeper and a cluster that stay from one schedule to the next.

    Without `keeper` the lane has one of its own, which has imported the reference system.
    """

    def __init__(
        self,
        index: int,
        directory: Path,
        tuning: Tuning,
        make_wire: MakeWire | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self._given = keeper
        self._index = index
        self._tuning = tuning
        self._users = Users()
        self._numbers = itertools.count(1)
        super().__init__(f"lane-{index}", directory, make_wire)

    database_type = EmbeddedDatabase

    def build(self, undo: ExitStack) -> Database:
        """Start a keeper, unless one was given, and a cluster."""
        self.keeper = self._given or undo.enter_context(Keeper(PREPARED))
        runtime = self.runtime_directory(undo, f"lane {self._index}")
        cluster = self.start_cluster(undo, self.keeper, runtime)
        return self.database_type(cluster, READY_TIMEOUT_S)

    def set_up(self, address: Address) -> None:
        """Apply the schema and add the users."""
        apply_schema(address, self._users)

    def start(self, address: Address, workers: int) -> ReferenceSystem:
        """Start the server and so many workers on a database."""
        # Workers record no end when they are killed; the history knows it by their exits.
        ledger = Ledger(self.logs / f"ledger-{next(self._numbers)}.jsonl", None)
        return ReferenceSystem(
            spawn=self.spawn,
            database=self.database,
            address=address,
            ledger=ledger,
            tuning=self._tuning,
            users=self._users,
            workers=workers,
            wire=self.wire,
        )

    def spawn(self, component: str, settings: str) -> Child:
        """Fork a component from the keeper; its settings are JSON."""
        return self.keeper.fork(entry_of(component), settings, self.logs / f"{component}.log")


class ColdProcessLane(ProcessLane):
    """A lane for one schedule: initdb, no template, and a new interpreter for each component."""

    database_type = SingleUseDatabase

    def spawn(self, component: str, settings: str) -> Child:
        """Run `python -m chaosfuzz.reference`, with the settings written to a file."""
        path = self.logs / f"{component}.json"
        path.write_text(settings, encoding="utf-8")
        command = "server" if component == SERVER else "worker"
        options = ["--settings", str(path), "--ready-fd", str(_READY_DESCRIPTOR)]
        return self.keeper.execute(
            [sys.executable, "-m", "chaosfuzz.reference", command, *options],
            log_path=self.logs / f"{component}.log",
            announces=True,
        )
