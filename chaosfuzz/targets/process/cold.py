"""Lanes that keep nothing: what a schedule costs without a warm cluster and forked processes."""

import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from chaosfuzz.domain.wire import Wire
from chaosfuzz.reference.schema import SCHEMA
from chaosfuzz.targets.components import SERVER
from chaosfuzz.targets.keeper import Child, Keeper
from chaosfuzz.targets.postgres import Cluster, create_runtime_directory, locate_postgres
from chaosfuzz.targets.process.system import READY_TIMEOUT_S, ReferenceSystem
from chaosfuzz.targets.process.tuning import Tuning
from chaosfuzz.targets.process.users import Users

DATABASE = "reference"
_READY_DESCRIPTOR = 3


class ColdLane:
    """Each schedule gets a new cluster and ordinary interpreters (implements Lane).

    Only the keeper is kept, which belongs to the harness. Raises InfrastructureError without
    PostgreSQL.
    """

    def __init__(
        self,
        index: int,
        directory: Path,
        tuning: Tuning | None = None,
        make_wire: Callable[[], Wire] | None = None,
    ) -> None:
        self._index = index
        self._make_wire = make_wire
        self._tuning = tuning or Tuning()
        self._users = Users()
        self._logs = directory / f"cold-lane-{index}"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._installation = locate_postgres()
        self._keeper = Keeper()

    def open(self, workers: int) -> ReferenceSystem:
        """Run initdb, start PostgreSQL, apply the schema, start server and workers."""
        with ExitStack() as undo:
            runtime = create_runtime_directory(f"cold lane {self._index}")
            undo.callback(shutil.rmtree, runtime, ignore_errors=True)
            cluster = Cluster(self._keeper, self._installation, runtime)
            undo.callback(cluster.dispose)
            cluster.start(READY_TIMEOUT_S)
            cluster.prepare_template(DATABASE, SCHEMA + self._users.script())
            wire = self._make_wire() if self._make_wire is not None else None
            if wire is not None:
                undo.callback(wire.close)
            system = ColdSystem(
                spawn=self._spawn,
                cluster=cluster,
                database=DATABASE,
                directory=self._logs,
                tuning=self._tuning,
                users=self._users,
                workers=workers,
                wire=wire,
            )
            system.afterwards(undo.pop_all())
            return system

    def _spawn(self, component: str, settings: str) -> Child:
        """Run `python -m chaosfuzz.reference` with the settings in a file."""
        path = self._logs / f"{component}.json"
        path.write_text(settings, encoding="utf-8")
        command = "server" if component == SERVER else "worker"
        options = ["--settings", str(path), "--ready-fd", str(_READY_DESCRIPTOR)]
        return self._keeper.execute(
            [sys.executable, "-m", "chaosfuzz.reference", command, *options],
            log_path=self._logs / f"{component}.log",
            announces=True,
        )

    def close(self) -> None:
        """End the keeper."""
        self._keeper.close()


class ColdSystem(ReferenceSystem):
    """The reference system with a cluster of its own."""

    _undo: ExitStack | None = None

    def afterwards(self, undo: ExitStack) -> None:
        """Take over what is to be undone after the system has been closed."""
        self._undo = undo

    def close(self) -> None:
        """Kill everything; dispose of the cluster."""
        with self._undo or ExitStack():
            super().close()
