"""A profile that names a compose file, as a target."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from chaosfuzz.actions import offered
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.case import DOCKER
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.target import TargetDescription
from chaosfuzz.targets.compose.database import ComposeDatabase
from chaosfuzz.targets.compose.project import LEDGER_NAME, Project
from chaosfuzz.targets.compose.system import ComposeSystem
from chaosfuzz.targets.docker.abilities import container_abilities
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.things import new_run
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.postgres.database import Address, Database
from chaosfuzz.targets.profiles.installing import install
from chaosfuzz.targets.profiles.launching import Launcher
from chaosfuzz.targets.profiles.target import ProfileLane, ProfileTarget, abilities_of

# Abilities that the containers of a compose file share with the bundled system's containers. The
# file itself decides on memory, disks and clocks.
_SHARED_ABILITIES = frozenset({Ability.NETWORK, Ability.FILTER, Ability.RESET, Ability.RESTART})


@dataclass(frozen=True)
class ComposeTarget(ProfileTarget):
    """A system that a compose file runs (implements LaneTarget). Its lanes need `make_wire`."""

    places: ClassVar[tuple[str, ...]] = (DOCKER,)

    @property
    def description(self) -> TargetDescription:
        """The target and the actions that it offers on this machine.

        Raises InfrastructureError if no engine answers.
        """
        # The database cannot tell the sessions of a service's containers apart.
        own = abilities_of(self.profile) - {Ability.SESSIONS} | {Ability.DATABASE}
        shared = container_abilities() & _SHARED_ABILITIES
        return replace(super().description, actions=offered(own | shared))

    def on(self, place: str) -> "ComposeTarget":
        """Return the target itself, which always runs in containers."""
        assert place == DOCKER, place
        return self

    def lane(self, index: int, directory: Path) -> "ComposeLane":
        """Bring the project up under a name of its own."""
        return ComposeLane(index, directory, self)


class ComposeLane(ProfileLane):
    """A project that stays up; each schedule gets an empty database."""

    def build(self, undo: ExitStack) -> Database:
        """Bring the project up, with one worker."""
        assert self._profile.compose is not None
        self._compose = self._profile.compose
        installed = install(self._profile)
        engine = Engine()
        undo.callback(engine.close)
        self._runtime = self.runtime_directory(undo, f"compose lane {self._index}")
        ledgers = self._runtime / "ledger"
        ledgers.mkdir()
        ledgers.chmod(0o777)
        self._ledger = ledgers / LEDGER_NAME
        project = self._project = Project(engine, self._compose, new_run(), self._runtime, ledgers)
        undo.callback(project.close)
        project.up(1)
        keeper = undo.enter_context(Keeper())
        self._launcher = Launcher(self._profile, installed, keeper, self.logs, "")
        self._compose_database = ComposeDatabase(self._profile, project)
        return self._compose_database

    def host(self) -> str:
        """Return the address of this machine in the workers' network.

        Raises InfrastructureError if that network has no gateway.
        """
        thing = self._project.container(self._compose.worker, 1)
        gateway = self._project.engine.place(thing.identity).gateway
        if gateway is None:
            raise InfrastructureError(
                cause="the workers' network has no gateway, at which the proxy would listen",
                remedy=(
                    f"put the service {self._compose.worker} on a bridge network that is not "
                    "internal"
                ),
            )
        return str(gateway)

    def set_up(self, address: Address) -> None:
        """Run the profile's scripts and commands; kill the server and workers that compose started.

        Each schedule starts its own.
        """
        super().set_up(address)
        services = [self._compose.worker, *([self._compose.server] if self._compose.server else [])]
        for service in services:
            for number in range(1, len(self._project.containers(service)) + 1):
                process = self._project.start(service, number)
                process.kill_tree()
                process.wait(self._compose.up_timeout_s)
                process.close()

    def start(self, address: Address, workers: int) -> ComposeSystem:
        """Start server and workers."""
        assert self.wire is not None, "the proxy is the containers' only way to the database"
        return ComposeSystem(
            self._project,
            self._compose,
            launcher=self._launcher,
            database=self._compose_database,
            # The ledger has pids inside containers; whether a worker died, its exit tells.
            ledger=Ledger(self._ledger, None),
            workers=workers,
            wire=self.wire,
        )
