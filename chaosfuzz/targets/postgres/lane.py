"""Lanes whose systems keep their queue in PostgreSQL."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Generic, TypeVar

from chaosfuzz.domain.target import MakeWire
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.postgres.cluster import Cluster
from chaosfuzz.targets.postgres.database import READY_TIMEOUT_S, Address, Database
from chaosfuzz.targets.postgres.locator import locate_postgres
from chaosfuzz.targets.postgres.runtime_directory import scratch_directory
from chaosfuzz.targets.postgres.system import PostgresSystem

# A log that has grown beyond this is emptied before the next schedule. Chosen by hand.
MAX_LOG_BYTES = 4 * 1024 * 1024
LOCALHOST = "127.0.0.1"
SystemT = TypeVar("SystemT", bound=PostgresSystem)


class PostgresLane(ABC, Generic[SystemT]):
    """A database that is set up once; each schedule gets a copy of it (implements Lane).

    Logs go to `directory`/`name`. Without `make_wire` there is no proxy, and no moment comes. The
    constructor calls `build` and `set_up`, so a subclass sets its attributes first.
    """

    def __init__(self, name: str, directory: Path, make_wire: MakeWire | None) -> None:
        self.logs = directory / name
        self.logs.mkdir(parents=True, exist_ok=True)
        self._log_directories = [self.logs]
        with ExitStack() as undo:
            self.database = self.build(undo)
            undo.callback(self.database.close)
            self.database.prepare(self.set_up)
            self.wire: Wire | None = make_wire(self.host()) if make_wire is not None else None
            if self.wire is not None:
                undo.callback(self.wire.close)
            self._undo = undo.pop_all()

    @abstractmethod
    def build(self, undo: ExitStack) -> Database:
        """Start the database and all that the lane keeps; register each removal with `undo`."""

    @abstractmethod
    def set_up(self, address: Address) -> None:
        """Fill the database of which schedules get copies."""

    @abstractmethod
    def start(self, address: Address, workers: int) -> SystemT:
        """Start a system with so many workers on a database of its own."""

    def host(self) -> str:
        """Return the address of this machine at which components reach the proxy."""
        return LOCALHOST

    def open(self, workers: int) -> SystemT:
        """Return a fresh system with so many workers, up and ready.

        Empties logs over 4 MB. Drops the databases of earlier schedules meanwhile.
        """
        for log in chain.from_iterable(each.glob("*.log") for each in self._log_directories):
            if log.stat().st_size > MAX_LOG_BYTES:
                os.truncate(log, 0)
        address = self.database.fresh()
        # The system starts while the databases are dropped.
        with ThreadPoolExecutor(1, "drop") as background:
            dropping = background.submit(self.database.drop_used)
            system = self.start(address, workers)
            dropping.result()
        return system

    def runtime_directory(self, undo: ExitStack, what: str) -> Path:
        """Make a runtime directory that `undo` removes; its logs are emptied as the lane's are."""
        directory = undo.enter_context(scratch_directory(what))
        self._log_directories.append(directory)
        return directory

    def start_cluster(self, undo: ExitStack, keeper: Keeper, directory: Path) -> Cluster:
        """Start a cluster in the directory; `undo` kills and removes it."""
        cluster = Cluster(keeper, locate_postgres(), directory)
        undo.callback(cluster.dispose)
        cluster.start(READY_TIMEOUT_S)
        return cluster

    def close(self) -> None:
        """End all that the lane started, and drop the databases that it made.

        A database that a profile names stays.
        """
        self._undo.close()


class ColdLane(Generic[SystemT]):
    """Makes a lane for each schedule, and keeps nothing between schedules (implements Lane).

    `end` is called when the cold lane is closed.
    """

    def __init__(
        self,
        make_lane: Callable[[], PostgresLane[SystemT]],
        end: Callable[[], None] = lambda: None,
    ) -> None:
        self._make_lane = make_lane
        self._end = end

    def open(self, workers: int) -> SystemT:
        """Make a lane and return its system; closing the system closes the lane."""
        lane = self._make_lane()
        try:
            system = lane.open(workers)
        except BaseException:
            lane.close()
            raise
        system.on_closed = lane.close
        return system

    def close(self) -> None:
        """Call `end`."""
        self._end()
