"""A profile as a target: lanes with a warm database and a keeper for the profile's commands."""

import itertools
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from chaosfuzz.actions import offered
from chaosfuzz.domain.abilities import PROCESS_ABILITIES, Ability
from chaosfuzz.domain.target import TargetDescription
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.postgres import Cluster, create_runtime_directory, locate_postgres
from chaosfuzz.targets.profiles.database import (
    Address,
    EmbeddedDatabase,
    ForeignDatabase,
    ProfileDatabase,
    run_mark,
    run_scripts,
)
from chaosfuzz.targets.profiles.installing import install
from chaosfuzz.targets.profiles.launching import Launcher
from chaosfuzz.targets.profiles.model import Profile
from chaosfuzz.targets.profiles.receiver import LedgerReceiver
from chaosfuzz.targets.profiles.system import ProfileSystem

READY_TIMEOUT_S = 15.0
SETUP = "setup"
# A log that has grown beyond this is emptied before the next schedule.
MAX_LOG_BYTES = 4 * 1024 * 1024


def abilities_of(profile: Profile) -> frozenset[Ability]:
    """Return what a profile's system can do and suffer."""
    # Only the API of the reference system takes these.
    lacking = {Ability.TASK_OPERATIONS, Ability.INQUIRIES}
    if profile.server is None:
        lacking.add(Ability.SERVER)
    if not profile.database.stoppable:
        lacking.add(Ability.DATABASE)
    if profile.creation is None:
        lacking.add(Ability.TASKS)
    return PROCESS_ABILITIES - lacking


def describe(profile: Profile) -> TargetDescription:
    """Return what a profile's system is and offers."""
    takes: tuple[str, ...] = ()
    if profile.creation is not None:
        takes = profile.creation.takes
        http = profile.creation.http
        if http is not None and http.idempotency_header is not None:
            takes = (*takes, "lost_reply")
    return TargetDescription(
        name=profile.name,
        summary=profile.summary,
        actions=offered(abilities_of(profile)),
        contract=profile.contract,
        takes=takes,
    )


class ProfileTarget:
    """Implements Target. Without `make_wire` there is no proxy, and no moment comes.

    `tell` is told the name of each stage of a lane's making as it begins.
    """

    def __init__(
        self,
        profile: Profile,
        make_wire: Callable[[], Wire] | None = None,
        tell: Callable[[str], None] = lambda _stage: None,
    ) -> None:
        self.profile = profile
        self._tell = tell
        self.description = describe(profile)
        self._make_wire = make_wire

    def lane(self, index: int, directory: Path) -> "ProfileLane":
        """Start a lane.

        Raises:
            UsageError: something that the profile needs is not installed.
            InfrastructureError: the database, the set-up or npm failed.

        """
        return ProfileLane(index, directory, self.profile, self._make_wire, self._tell)


class ProfileLane:
    """A keeper and a database that is set up; each schedule gets a copy (implements Lane)."""

    def __init__(
        self,
        index: int,
        directory: Path,
        profile: Profile,
        make_wire: Callable[[], Wire] | None = None,
        tell: Callable[[str], None] = lambda _stage: None,
    ) -> None:
        self._numbers = itertools.count(1)
        self._index = index
        self._logs = directory / f"lane-{index}"
        self._logs.mkdir(parents=True, exist_ok=True)
        tell("requirements")
        installed = install(profile)
        tell("database")
        with ExitStack() as undo:
            self._keeper = undo.enter_context(Keeper())
            self._runtime = create_runtime_directory(f"lane {index} of {profile.name}")
            undo.callback(shutil.rmtree, self._runtime, ignore_errors=True)
            self._receiver = LedgerReceiver()
            undo.callback(self._receiver.close)
            self._launcher = Launcher(
                profile, installed, self._keeper, self._logs, self._receiver.url
            )
            self._database = self._open_database(profile, undo)
            undo.callback(self._database.close)
            tell("set-up")
            self._database.prepare(partial(self._set_up, profile))
            self._wire = make_wire() if make_wire is not None else None
            if self._wire is not None:
                undo.callback(self._wire.close)
            self._undo = undo.pop_all()

    def open(self, workers: int) -> ProfileSystem:
        """Return a fresh system on a database of its own."""
        self._trim_logs()
        address = self._database.fresh()
        ledger = self._runtime / f"ledger-{next(self._numbers)}.jsonl"
        self._receiver.write_to(ledger)
        return ProfileSystem(
            launcher=self._launcher,
            database=self._database,
            address=address,
            ledger=ledger,
            workers=workers,
            wire=self._wire,
        )

    def close(self) -> None:
        """Dispose of the database and end the keeper."""
        self._undo.close()

    def _open_database(self, profile: Profile, undo: ExitStack) -> ProfileDatabase:
        if profile.database.dsn is not None:
            return ForeignDatabase(profile.database, run_mark(self._index))
        cluster = Cluster(self._keeper, locate_postgres(), self._runtime)
        undo.callback(cluster.dispose)
        cluster.start(READY_TIMEOUT_S)
        return EmbeddedDatabase(cluster, READY_TIMEOUT_S)

    def _set_up(self, profile: Profile, address: Address) -> None:
        run_scripts(address, profile.database.setup_sql)
        unused = self._runtime / "ledger-of-setup.jsonl"
        values = self._launcher.values(SETUP, address, ledger=unused, port=None)
        for command in profile.database.setup:
            self._launcher.run(SETUP, command, values)

    def _trim_logs(self) -> None:
        for log in self._logs.glob("*.log"):
            if log.stat().st_size > MAX_LOG_BYTES:
                os.truncate(log, 0)
