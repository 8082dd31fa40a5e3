"""A lane: what one copy of a system needs, warm between schedules."""

import os
import shutil
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
from chaosfuzz.targets.postgres.runtime_directory import create_runtime_directory
from chaosfuzz.targets.postgres.system import PostgresSystem

# A log that has grown beyond this is emptied before the next schedule. Chosen by hand.
MAX_LOG_BYTES = 4 * 1024 * 1024
LOCALHOST = "127.0.0.1"
SystemT = TypeVar("SystemT", bound=PostgresSystem)


class PostgresLane(ABC, Generic[SystemT]):
    """A database that is set up once; each schedule gets a copy of it (implements Lane).

    Logs go to `directory`/`name`. Without `make_wire` there is no proxy, and no moment comes.
    A subclass sets what its methods need before it calls this constructor.
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
        """Make all that the lane has and start the database; `undo` takes it all down again."""

    @abstractmethod
    def set_up(self, address: Address) -> None:
        """Fill the database that schedules get copies of."""

    @abstractmethod
    def start(self, address: Address, workers: int) -> SystemT:
        """Start a system on a database of its own."""

    def host(self) -> str:
        """Return the address of this machine at which components reach the proxy."""
        return LOCALHOST

    def open(self, workers: int) -> SystemT:
        """Return a fresh system with so many workers, up and ready."""
        for log in chain.from_iterable(each.glob("*.log") for each in self._log_directories):
            if log.stat().st_size > MAX_LOG_BYTES:
                os.truncate(log, 0)
        address = self.database.fresh()
        # What the schedule before has used goes while the new components start.
        with ThreadPoolExecutor(1, "drop") as background:
            dropping = background.submit(self.database.drop_used)
            system = self.start(address, workers)
            dropping.result()
        return system

    def runtime_directory(self, undo: ExitStack, what: str) -> Path:
        """Make a directory for what runs, marked with this process."""
        directory = create_runtime_directory(what)
        undo.callback(shutil.rmtree, directory, ignore_errors=True)
        self._log_directories.append(directory)
        return directory

    def start_cluster(self, undo: ExitStack, keeper: Keeper, directory: Path) -> Cluster:
        """Start a cluster of the lane's own."""
        cluster = Cluster(keeper, locate_postgres(), directory)
        undo.callback(cluster.dispose)
        cluster.start(READY_TIMEOUT_S)
        return cluster

    def close(self) -> None:
        """End everything the lane started."""
        self._undo.close()


class ColdLane(Generic[SystemT]):
    """A lane that keeps nothing: each schedule gets a lane of its own (implements Lane).

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
        """Make everything anew; the system removes it all when it is closed."""
        lane = self._make_lane()
        try:
            system = lane.open(workers)
        except BaseException:
            lane.close()
            raise
        system.afterwards = lane.close
        return system

    def close(self) -> None:
        """Call `end`; nothing else is kept."""
        self._end()
