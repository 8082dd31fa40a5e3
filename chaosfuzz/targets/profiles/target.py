"""The target that a profile describes, and its lanes."""

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
    """Return the abilities of a profile's system, which decide the actions it offers."""
    # Only the API of the reference system has these.
    lacking = {Ability.TASK_OPERATIONS, Ability.INQUIRIES}
    if profile.server is None:
        lacking.add(Ability.SERVER)
    if not profile.database.stoppable:
        lacking.add(Ability.DATABASE)
    if profile.creation is None:
        lacking.add(Ability.TASKS)
    return PROCESS_ABILITIES - lacking


def describe(profile: Profile, *, released: bool = False) -> TargetDescription:
    """Return the description of a profile's target. `released`: it comes with chaosfuzz."""
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


@dataclass(frozen=True)
class ProfileTarget:
    """A profile's system with processes as components (implements LaneTarget).

    Without `make_wire` there is no proxy, and no moment comes. `on_stage` is called with the name
    of each stage of a lane's start: requirements, database, set-up.
    """

    profile: Profile
    make_wire: MakeWire | None = None
    on_stage: Callable[[str], None] = lambda _stage: None
    released: bool = False

    @property
    def description(self) -> TargetDescription:
        """The target's name, actions and contract."""
        return describe(self.profile, released=self.released)

    def with_wire(self, make_wire: MakeWire) -> "ProfileTarget":
        """Return the target with a proxy in each of its lanes."""
        return replace(self, make_wire=make_wire)

    def lane(self, index: int, directory: Path) -> "ProfileLane":
        """Start a lane; missing npm packages are installed first.

        Raises UsageError if a Python distribution that the profile requires is not installed, and
        InfrastructureError if the database, the set-up or npm failed.
        """
        return ProfileLane(index, directory, self)

    def check_machine(self) -> Iterator[CheckResult]:
        """Yield whether the packages of the profile are installed. Install nothing."""
        yield look(self.profile.name, lambda: check_requirements(self.profile))


class ProfileLane(PostgresLane[ProfileSystem]):
    """A keeper for the profile's commands, a database, and a receiver of ledger lines."""

    def __init__(self, index: int, directory: Path, target: ProfileTarget) -> None:
        self._numbers = itertools.count(1)
        self._index = index
        self._profile = target.profile
        self._on_stage = target.on_stage
        super().__init__(f"lane-{index}", directory, target.make_wire)

    def build(self, undo: ExitStack) -> Database:
        """Install npm packages; start the keeper, the receiver and the database; return this."""
        self._on_stage("requirements")
        installed = install(self._profile)
        self._on_stage("database")
        self._keeper = undo.enter_context(Keeper())
        self._runtime = self.runtime_directory(undo, f"lane {self._index} of {self._profile.name}")
        self._receiver = LedgerReceiver()
        undo.callback(self._receiver.close)
        self._launcher = Launcher(
            self._profile, installed, self._keeper, self.logs, self._receiver.url
        )
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

    def set_up(self, address: Address) -> None:
        """Run the set-up of the profile on a database."""
        self._on_stage("set-up")
        self._launcher.set_up(address, self._runtime / "ledger-of-setup.jsonl")

    def start(self, address: Address, workers: int) -> ProfileSystem:
        """Start a system with a ledger of its own."""
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
