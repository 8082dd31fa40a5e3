"""The reference target: lanes with a warm cluster and a prepared process to fork from."""

import itertools
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from chaosfuzz.actions import offered
from chaosfuzz.domain.abilities import PROCESS_ABILITIES
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.target import Defect, TargetDescription
from chaosfuzz.domain.wire import Wire
from chaosfuzz.reference.defects import DEFECTS
from chaosfuzz.reference.schema import SCHEMA
from chaosfuzz.targets.keeper import Child, Keeper
from chaosfuzz.targets.postgres import Cluster, create_runtime_directory, locate_postgres
from chaosfuzz.targets.process.system import READY_TIMEOUT_S, ReferenceSystem
from chaosfuzz.targets.process.tuning import CONTRACT, PREPARED, Tuning, entry_of
from chaosfuzz.targets.process.users import Users

TEMPLATE = "reference_template"
# A log that has grown beyond this is emptied before the next schedule.
MAX_LOG_BYTES = 4 * 1024 * 1024


def known_defects() -> tuple[Defect, ...]:
    """Return the defects that the reference system can have."""
    return tuple(
        Defect(name=d.name, summary=d.summary, mirrors=d.mirrors) for d in DEFECTS.values()
    )


def describe() -> TargetDescription:
    """Return what the reference target is and offers."""
    return TargetDescription(
        name="reference",
        summary="the bundled job system: HTTP server, workers, PostgreSQL, as processes",
        actions=offered(PROCESS_ABILITIES),
        contract=CONTRACT,
        defects=known_defects(),
    )


class ReferenceTarget:
    """Implements Target. Without `make_wire` there is no proxy, and no moment comes."""

    def __init__(
        self,
        defects: tuple[str, ...] = (),
        mode: str = "at-least-once",
        make_wire: Callable[[], Wire] | None = None,
    ) -> None:
        known = [defect.name for defect in known_defects()]
        for name in defects:
            if name not in known:
                raise UsageError(
                    cause=f"unknown defect {name!r}", remedy=f"choose among: {', '.join(known)}"
                )
        self._tuning = Tuning(defects=tuple(defects), mode=mode)
        self._make_wire = make_wire
        self.description = describe()

    def lane(self, index: int, directory: Path) -> "ProcessLane":
        """Start a lane: a keeper and a cluster with the schema in a template."""
        return ProcessLane(index, directory, self._tuning, self._make_wire)


class ProcessLane:
    """A keeper and a warm cluster; each schedule gets a fresh database (implements Lane)."""

    def __init__(
        self,
        index: int,
        directory: Path,
        tuning: Tuning,
        make_wire: Callable[[], Wire] | None = None,
    ) -> None:
        self._numbers = itertools.count(1)
        self._used: str | None = None
        self._index = index
        self._tuning = tuning
        self._users = Users()
        self._logs = directory / f"lane-{index}"
        self._logs.mkdir(parents=True, exist_ok=True)
        installation = locate_postgres()
        with ExitStack() as undo:
            self._keeper = undo.enter_context(Keeper(PREPARED))
            self._runtime = create_runtime_directory(f"lane {index}")
            undo.callback(shutil.rmtree, self._runtime, ignore_errors=True)
            self._cluster = Cluster(self._keeper, installation, self._runtime)
            undo.callback(self._cluster.dispose)
            self._cluster.start(READY_TIMEOUT_S)
            self._cluster.prepare_template(TEMPLATE, SCHEMA + self._users.script())
            self._wire = make_wire() if make_wire is not None else None
            if self._wire is not None:
                undo.callback(self._wire.close)
            self._undo = undo.pop_all()

    def open(self, workers: int) -> ReferenceSystem:
        """Return a fresh system on a database cloned from the template."""
        self._trim_logs()
        database = f"schedule_{next(self._numbers)}"
        self._cluster.create_database(database, TEMPLATE)
        # What the schedule before has used goes while the new processes start.
        used, self._used = self._used, database
        with ThreadPoolExecutor(1, "drop") as background:
            dropping = background.submit(self._drop, used)
            system = ReferenceSystem(
                spawn=self._spawn,
                cluster=self._cluster,
                database=database,
                directory=self._logs,
                tuning=self._tuning,
                users=self._users,
                workers=workers,
                wire=self._wire,
            )
            dropping.result()
        return system

    def _spawn(self, component: str, settings: str) -> Child:
        return self._keeper.fork(entry_of(component), settings, self._logs / f"{component}.log")

    def _drop(self, database: str | None) -> None:
        if database is not None:
            self._cluster.drop_database(database)

    def _trim_logs(self) -> None:
        for log in (*self._logs.glob("*.log"), *self._runtime.glob("*.log")):
            if log.stat().st_size > MAX_LOG_BYTES:
                os.truncate(log, 0)

    def close(self) -> None:
        """Dispose of the cluster and end the keeper."""
        self._undo.close()
