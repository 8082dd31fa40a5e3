"""A profile as a target: lanes with a warm database and a keeper for the profile's commands."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from chaosfuzz.actions import offered
from chaosfuzz.domain.abilities import PROCESS_ABILITIES, Ability
from chaosfuzz.domain.check_result import CheckResult, look
from chaosfuzz.domain.target import MakeWire, TargetDescription
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.postgres.database import (
    READY_TIMEOUT_S,
    Address,
    Database,
    EmbeddedDatabase,
)
from chaosfuzz.targets.postgres.foreign import ForeignDatabase, run_mark
from chaosfuzz.targets.postgres.lane import PostgresLane
from chaosfuzz.targets.profiles.installing import check_requirements, install
from chaosfuzz.targets.profiles.launching import Launcher
from chaosfuzz.targets.profiles.model import Profile
from chaosfuzz.targets.profiles.receiver import LedgerReceiver
from chaosfuzz.targets.profiles.system import ProfileSystem


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


def describe(profile: Profile, *, released: bool = False) -> TargetDescription:
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
        profile="" if released else profile.path.name,
        released=released,
    )


def say_nothing(_stage: str) -> None:
    """Say nothing of a stage."""


@dataclass(frozen=True)
class ProfileTarget:
    """A system that a profile describes, as processes (implements LaneTarget).

    Without `make_wire` there is no proxy, and no moment comes. `tell` is told the name of each
    stage of a lane's making as it begins. `released`: the profile comes with chaosfuzz.
    """

    profile: Profile
    make_wire: MakeWire | None = None
    tell: Callable[[str], None] = say_nothing
    released: bool = False

    @property
    def description(self) -> TargetDescription:
        """What it is and offers."""
        return describe(self.profile, released=self.released)

    def with_wire(self, make_wire: MakeWire) -> "ProfileTarget":
        """Return the target with a proxy in each lane."""
        return replace(self, make_wire=make_wire)

    def lane(self, index: int, directory: Path) -> "ProfileLane":
        """Start a lane.

        Raises:
            UsageError: something that the profile needs is not installed.
            InfrastructureError: the database, the set-up or npm failed.

        """
        return ProfileLane(index, directory, self)

    def check_machine(self) -> Iterator[CheckResult]:
        """Look for the packages that the profile requires; nothing is installed."""
        yield look(self.profile.name, lambda: check_requirements(self.profile))


class ProfileLane(PostgresLane[ProfileSystem]):
    """A keeper for the profile's commands, and a database that they have set up."""

    def __init__(self, index: int, directory: Path, target: ProfileTarget) -> None:
        self._numbers = itertools.count(1)
        self._index = index
        self._profile = target.profile
        self._tell = target.tell
        super().__init__(f"lane-{index}", directory, target.make_wire)

    def build(self, undo: ExitStack) -> Database:
        """Look for what the profile requires; start a keeper and the database."""
        self._tell("requirements")
        installed = install(self._profile)
        self._tell("database")
        self._keeper = undo.enter_context(Keeper())
        self._runtime = self.runtime_directory(undo, f"lane {self._index} of {self._profile.name}")
        self._receiver = LedgerReceiver()
        undo.callback(self._receiver.close)
        self._launcher = Launcher(
            self._profile, installed, self._keeper, self.logs, self._receiver.url
        )
        return self._open_database(undo)

    def set_up(self, address: Address) -> None:
        """Run the profile's scripts and commands."""
        self._tell("set-up")
        self._launcher.set_up(address, self._runtime / "ledger-of-setup.jsonl")

    def start(self, address: Address, workers: int) -> ProfileSystem:
        """Start server, workers and what creates tasks."""
        ledger = Ledger(self._runtime / f"ledger-{next(self._numbers)}.jsonl")
        self._receiver.write_to(ledger.path)
        return ProfileSystem(
            launcher=self._launcher,
            database=self.database,
            address=address,
            ledger=ledger,
            workers=workers,
            wire=self.wire,
        )

    def _open_database(self, undo: ExitStack) -> Database:
        given = self._profile.database
        if given.dsn is None:
            cluster = self.start_cluster(undo, self._keeper, self._runtime)
            return EmbeddedDatabase(cluster, READY_TIMEOUT_S)
        return ForeignDatabase(
            given.dsn,
            run_mark(self._index),
            stop=given.stop,
            start=given.start,
            timeout_s=given.timeout_s,
            reset_sql=given.reset_sql,
        )
