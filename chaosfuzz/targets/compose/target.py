"""A profile that names a compose file, as a target."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from chaosfuzz.actions import offered
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.case import DOCKER
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.target import MakeWire, TargetDescription
from chaosfuzz.targets.compose.containers import ComposeContainers
from chaosfuzz.targets.compose.database import ComposeDatabase
from chaosfuzz.targets.compose.project import LEDGER_NAME, PROJECT, Project
from chaosfuzz.targets.compose.system import ComposeSystem
from chaosfuzz.targets.docker.abilities import probed_abilities
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.events import EventStream
from chaosfuzz.targets.docker.labels import new_run
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.postgres.database import Address, Database
from chaosfuzz.targets.postgres.lane import PostgresLane
from chaosfuzz.targets.profiles.installing import install
from chaosfuzz.targets.profiles.launching import Launcher
from chaosfuzz.targets.profiles.model import Profile
from chaosfuzz.targets.profiles.target import abilities_of
from chaosfuzz.targets.profiles.target import describe as describe_profile

# What a compose file's containers can suffer; it says itself what memory, disk and clock are.
_SUFFERED = frozenset({Ability.NETWORK, Ability.FILTER, Ability.RESET, Ability.RESTART})


def describe(profile: Profile) -> TargetDescription:
    """Return what a compose project is and offers on this machine.

    Raises:
        InfrastructureError: no engine answers.

    """
    able = {probed.ability for probed in probed_abilities() if probed.works}
    # Sessions of a service's containers cannot be told apart by the database.
    abilities = abilities_of(profile) - {Ability.SESSIONS} | {Ability.DATABASE} | able & _SUFFERED
    return replace(describe_profile(profile), actions=offered(abilities))


@dataclass(frozen=True, kw_only=True)
class ComposeTarget:
    """A system that a compose file runs (implements LaneTarget). Lanes need `make_wire`."""

    profile: Profile
    make_wire: MakeWire | None = None
    places: ClassVar[tuple[str, ...]] = (DOCKER,)

    @property
    def description(self) -> TargetDescription:
        """What it is, and offers on this machine; raises InfrastructureError without an engine."""
        return describe(self.profile)

    def with_wire(self, make_wire: MakeWire) -> "ComposeTarget":
        """Return the target with a proxy in each lane."""
        return replace(self, make_wire=make_wire)

    def on(self, place: str) -> "ComposeTarget":
        """Return the target itself: it runs in containers anyway."""
        assert place == DOCKER, place
        return self

    def lane(self, index: int, directory: Path) -> "ComposeLane":
        """Bring the project up under a name of its own."""
        return ComposeLane(index, directory, self.profile, self.make_wire)


class ComposeLane(PostgresLane[ComposeSystem]):
    """A project that stays up; each schedule gets an empty database."""

    def __init__(
        self, index: int, directory: Path, profile: Profile, make_wire: MakeWire | None
    ) -> None:
        assert profile.compose is not None
        self._index = index
        self._profile = profile
        self._compose = profile.compose
        super().__init__(f"compose-lane-{index}", directory, make_wire)

    def build(self, undo: ExitStack) -> Database:
        """Bring the project up, with one worker."""
        installed = install(self._profile)
        engine = Engine()
        undo.callback(engine.close)
        self._runtime = self.runtime_directory(undo, f"compose lane {self._index}")
        ledgers = self._runtime / "ledger"
        ledgers.mkdir()
        ledgers.chmod(0o777)
        self._ledger = ledgers / LEDGER_NAME
        project = self._project = Project(engine, self._compose, new_run(), self._runtime, ledgers)
        events = EventStream(engine, f"{PROJECT}={project.name}")
        undo.callback(events.close)
        undo.callback(project.down)
        project.up(1)
        self._gateway = self._gateway_of(engine, project)
        self._containers = ComposeContainers(engine, events, project)
        keeper = undo.enter_context(Keeper())
        self._launcher = Launcher(self._profile, installed, keeper, self.logs, "")
        self._containers_database = ComposeDatabase(self._profile, self._containers)
        return self._containers_database

    def host(self) -> str:
        """Return the gateway of the workers' network."""
        return self._gateway

    def set_up(self, address: Address) -> None:
        """Run the profile's scripts and commands; end what compose has started."""
        self._launcher.set_up(address, self._runtime / "ledger-of-setup.jsonl")
        self._end_first_ones(self._project)

    def start(self, address: Address, workers: int) -> ComposeSystem:
        """Start server and workers."""
        assert self.wire is not None, "containers are led to the database by the proxy"
        return ComposeSystem(
            self._containers,
            self._compose,
            launcher=self._launcher,
            database=self._containers_database,
            # Pids in the ledger are those inside containers; who has died is told by their ends.
            ledger=Ledger(self._ledger, None),
            workers=workers,
            wire=self.wire,
        )

    def _gateway_of(self, engine: Engine, project: Project) -> str:
        (thing, *_) = project.containers(self._compose.worker)
        gateway = engine.place(thing.identity).gateway
        if gateway is None:
            raise InfrastructureError(
                cause="the workers' network has no gateway, at which the proxy listens",
                remedy=(
                    f"put the service {self._compose.worker} on a bridge network that is not "
                    "internal"
                ),
            )
        return str(gateway)

    def _end_first_ones(self, project: Project) -> None:
        """End what compose has started: schedules start their own."""
        services = [self._compose.worker, *([self._compose.server] if self._compose.server else [])]
        for service in services:
            for number in range(1, len(project.containers(service)) + 1):
                process = self._containers.start(service, number)
                process.kill_tree()
                process.wait(self._compose.up_timeout_s)
                process.close()
