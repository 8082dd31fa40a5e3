"""Lanes of the reference system as processes: a cluster, and a prepared process to fork from."""

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
    """Make a database that of the reference system, with users in it."""
    script = (SCHEMA + users.script()).encode()
    run_sql(address, script, "the bundled system's schema", "see what chaosfuzz doctor says")


class ProcessLane(PostgresLane[ReferenceSystem]):
    """A keeper and a warm cluster."""

    def __init__(
        self, index: int, directory: Path, tuning: Tuning, make_wire: MakeWire | None = None
    ) -> None:
        self._index = index
        self._tuning = tuning
        self._users = Users()
        self._numbers = itertools.count(1)
        super().__init__(f"lane-{index}", directory, make_wire)

    database_type = EmbeddedDatabase

    def build(self, undo: ExitStack) -> Database:
        """Start a cluster, by a keeper that has imported the reference system."""
        self.keeper = self.make_keeper(undo)
        runtime = self.runtime_directory(undo, f"lane {self._index}")
        cluster = self.start_cluster(undo, self.keeper, runtime)
        return self.database_type(cluster, READY_TIMEOUT_S)

    def make_keeper(self, undo: ExitStack) -> Keeper:
        """Return what starts processes."""
        return undo.enter_context(Keeper(PREPARED))

    def set_up(self, address: Address) -> None:
        """Apply the schema, and add users."""
        apply_schema(address, self._users)

    def start(self, address: Address, workers: int) -> ReferenceSystem:
        """Start server and workers."""
        # Whether an execution without an end goes on is told by the exits of workers.
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
        """Fork a component."""
        return self.keeper.fork(entry_of(component), settings, self.logs / f"{component}.log")


class ColdProcessLane(ProcessLane):
    """For one schedule: initdb, no template, and ordinary interpreters.

    The keeper belongs to the harness and stays from one lane to the next.
    """

    database_type = SingleUseDatabase

    def __init__(
        self,
        index: int,
        directory: Path,
        tuning: Tuning,
        make_wire: MakeWire | None,
        keeper: Keeper,
    ) -> None:
        self._given = keeper
        super().__init__(index, directory, tuning, make_wire)

    def make_keeper(self, undo: ExitStack) -> Keeper:
        """Return the keeper that was given."""
        return self._given

    def spawn(self, component: str, settings: str) -> Child:
        """Run `python -m chaosfuzz.reference` with the settings in a file."""
        path = self.logs / f"{component}.json"
        path.write_text(settings, encoding="utf-8")
        command = "server" if component == SERVER else "worker"
        options = ["--settings", str(path), "--ready-fd", str(_READY_DESCRIPTOR)]
        return self.keeper.execute(
            [sys.executable, "-m", "chaosfuzz.reference", command, *options],
            log_path=self.logs / f"{component}.log",
            announces=True,
        )
