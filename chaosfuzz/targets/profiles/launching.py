"""Runs the commands of a profile, with their placeholders filled in, below the lane's keeper."""

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper import Keeper, ProcessTree
from chaosfuzz.targets.keeper.child import log_tail
from chaosfuzz.targets.keeper.tree import MARK
from chaosfuzz.targets.postgres.database import Address, run_sql
from chaosfuzz.targets.profiles.installing import Installed
from chaosfuzz.targets.profiles.model import ComponentProfile, Profile
from chaosfuzz.targets.profiles.placeholders import fill

SETUP = "setup"


@dataclass(frozen=True)
class Launcher:
    """Runs the commands of a profile for a lane. Each is a process tree in its own session.

    Output goes to a file in `logs` for each component.
    """

    profile: Profile
    installed: Installed
    keeper: Keeper
    logs: Path
    ledger_url: str

    def values(
        self, component: str, address: Address, *, ledger: Path, port: int | None
    ) -> dict[str, str]:
        """Return the values of the placeholders for a component. `address` is its database."""
        return {
            "dsn": address.url(component),
            "host": address.host,
            "port_db": str(address.port),
            "database": address.database,
            "user": address.user,
            "password": address.password,
            "port": "" if port is None else str(port),
            "ledger": str(ledger),
            "ledger_url": self.ledger_url,
            "component": component,
            "python": self.installed.python,
            "node": self.installed.node,
            "profile_dir": str(self.profile.directory),
            "cache": str(self.installed.cache),
        }

    def start(
        self,
        component: str,
        spec: ComponentProfile,
        values: Mapping[str, str],
        pipes: tuple[int, int] | None = None,
    ) -> ProcessTree:
        """Start a component's command; `pipes` become its standard input and output."""
        extra = {name: fill(text, values) for name, text in spec.env.items()}
        directory = self.profile.directory / fill(spec.cwd, values)
        command = [fill(word, values) for word in spec.command]
        return self._execute(
            component, command, {**_environment(values), **extra}, directory, pipes
        )

    def run(self, name: str, words: tuple[str, ...], values: Mapping[str, str]) -> None:
        """Run a command of the set-up, and kill what it leaves running.

        Raises InfrastructureError if it fails, or takes longer than database.setup_timeout_s.
        """
        command = [fill(word, values) for word in words]
        tree = self._execute(name, command, _environment(values), self.profile.directory, None)
        timeout_s = self.profile.database.timeout_s
        try:
            exit_code = tree.wait(timeout_s)
        finally:
            tree.kill_tree()
            tree.close()
        if exit_code != 0:
            ending = f"ended with exit code {exit_code}"
            if exit_code is None:
                ending = f"did not end within {timeout_s:g} s"
            raise InfrastructureError(
                cause=(
                    f"{' '.join(command)} {ending}. Its log {tree.log_path} ends: "
                    f"{log_tail(tree.log_path)}"
                ),
                remedy="run the command by hand, and correct it in database.setup of the profile",
            )

    def set_up(self, address: Address, unused_ledger: Path) -> None:
        """Fill a database by the profile's SQL scripts, then by its set-up commands.

        `unused_ledger` is the path that {ledger} stands for; no schedule reads it.

        Raises:
            InfrastructureError: a script or command fails; the message names it.

        """
        database = self.profile.database
        for script in database.setup_sql:
            try:
                content = script.read_bytes()
            except OSError as error:
                raise InfrastructureError(
                    cause=f"cannot read {script}: {error.strerror}",
                    remedy="correct database.setup_sql in the profile",
                ) from error
            run_sql(address, content, str(script))
        values = self.values(SETUP, address, ledger=unused_ledger, port=None)
        for command in database.setup:
            self.run(SETUP, command, values)

    def log_path(self, component: str) -> Path:
        """Return the file for a component's output."""
        return self.logs / f"{component}.log"

    def _execute(
        self,
        component: str,
        command: list[str],
        environment: Mapping[str, str],
        directory: Path,
        pipes: tuple[int, int] | None,
    ) -> ProcessTree:
        modules = self.installed.modules
        node_path = {"NODE_PATH": modules} if modules else {}
        mark = uuid.uuid4().hex
        child = self.keeper.execute(
            command,
            environment={**os.environ, **node_path, **environment, MARK: mark},
            log_path=self.log_path(component),
            working_directory=directory,
            pipes=pipes,
        )
        return ProcessTree(child, self.keeper.pid, mark)


def _environment(values: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of every component. libpq's variables name its database."""
    return {
        "CHAOSFUZZ_DSN": values["dsn"],
        "CHAOSFUZZ_LEDGER": values["ledger"],
        "CHAOSFUZZ_LEDGER_URL": values["ledger_url"],
        "CHAOSFUZZ_COMPONENT": values["component"],
        "PGHOST": values["host"],
        "PGPORT": values["port_db"],
        "PGDATABASE": values["database"],
        "PGUSER": values["user"],
        "PGPASSWORD": values["password"],
        "PGAPPNAME": values["component"],
        "PYTHONUNBUFFERED": "1",
    }
