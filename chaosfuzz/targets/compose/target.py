"""A profile that names a compose file, as a target."""

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from chaosfuzz.actions import offered
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.target import TargetDescription
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.compose.containers import Crew
from chaosfuzz.targets.compose.database import ComposeDatabase
from chaosfuzz.targets.compose.project import LEDGER_NAME, PROJECT, Project
from chaosfuzz.targets.compose.system import ComposeSystem
from chaosfuzz.targets.docker.abilities import probed_abilities
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.events import EventStream
from chaosfuzz.targets.docker.labels import new_run
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.postgres import create_runtime_directory
from chaosfuzz.targets.profiles.database import Address, run_scripts
from chaosfuzz.targets.profiles.installing import install
from chaosfuzz.targets.profiles.launching import Launcher
from chaosfuzz.targets.profiles.model import Profile
from chaosfuzz.targets.profiles.target import SETUP, abilities_of
from chaosfuzz.targets.profiles.target import describe as describe_profile

MakeWire = Callable[[str], Wire]
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


class ComposeTarget:
    """Implements Target over a compose file."""

    def __init__(self, profile: Profile, make_wire: MakeWire) -> None:
        self._profile = profile
        self._make_wire = make_wire
        self.description = describe(profile)

    def lane(self, index: int, directory: Path) -> "ComposeLane":
        """Bring the project up under a name of its own."""
        return ComposeLane(index, directory, self._profile, self._make_wire)


class ComposeLane:
    """A project that stays up; each schedule gets an empty database (implements Lane)."""

    def __init__(self, index: int, directory: Path, profile: Profile, make_wire: MakeWire) -> None:
        assert profile.compose is not None
        self._profile = profile
        self._compose = profile.compose
        logs = directory / f"compose-lane-{index}"
        logs.mkdir(parents=True, exist_ok=True)
        installed = install(profile)
        with ExitStack() as undo:
            engine = Engine()
            undo.callback(engine.close)
            run = new_run()
            runtime = create_runtime_directory(f"compose lane {index}")
            undo.callback(shutil.rmtree, runtime, ignore_errors=True)
            ledgers = runtime / "ledger"
            ledgers.mkdir()
            ledgers.chmod(0o777)
            self._ledger = ledgers / LEDGER_NAME
            project = Project(engine, profile.compose, run, runtime, ledgers)
            events = EventStream(engine, f"{PROJECT}={project.name}")
            undo.callback(events.close)
            undo.callback(project.down)
            project.up(1)
            self._crew = Crew(engine, events, project)
            self._database = ComposeDatabase(profile, self._crew)
            undo.callback(self._database.close)
            keeper = undo.enter_context(Keeper())
            self._launcher = Launcher(profile, installed, keeper, logs, "")
            self._database.prepare(partial(self._set_up, runtime))
            self._wire = make_wire(self._gateway(engine, project))
            undo.callback(self._wire.close)
            self._end_first_ones(project)
            self._undo = undo.pop_all()

    def open(self, workers: int) -> ComposeSystem:
        """Empty the database; start server and workers."""
        self._database.fresh()
        return ComposeSystem(
            self._crew,
            self._compose,
            launcher=self._launcher,
            database=self._database,
            ledger=self._ledger,
            workers=workers,
            wire=self._wire,
        )

    def close(self) -> None:
        """Take the project down."""
        self._undo.close()

    def _gateway(self, engine: Engine, project: Project) -> str:
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
                process = self._crew.start(service, number)
                process.kill_tree()
                process.wait(self._compose.up_timeout_s)
                process.close()

    def _set_up(self, runtime: Path, address: Address) -> None:
        run_scripts(address, self._profile.database.setup_sql)
        unused = runtime / "ledger-of-setup.jsonl"
        values = self._launcher.values(SETUP, address, ledger=unused, port=None)
        for command in self._profile.database.setup:
            self._launcher.run(SETUP, command, values)
