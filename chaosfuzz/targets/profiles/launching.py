"""Starts what a profile names: commands with placeholders filled in, below the lane's keeper."""

import os
import uuid
from collections.abc import Mapping
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


class Launcher:
    """Runs commands of one profile for one lane; each as a tree in a session of its own."""

    def __init__(
        self,
        profile: Profile,
        installed: Installed,
        keeper: Keeper,
        logs: Path,
        ledger_url: str,
    ) -> None:
        self.profile = profile
        self.logs = logs
        self._installed = installed
        self._keeper = keeper
        self._ledger_url = ledger_url

    def values(
        self, component: str, address: Address, *, ledger: Path, port: int | None
    ) -> dict[str, str]:
        """Return what the placeholders stand for."""
        return {
            "dsn": address.url(component),
            "host": address.host,
            "port_db": str(address.port),
            "database": address.database,
            "user": address.user,
            "password": address.password,
            "port": "" if port is None else str(port),
            "ledger": str(ledger),
            "ledger_url": self._ledger_url,
            "component": component,
            "python": self._installed.python,
            "node": self._installed.node,
            "profile_dir": str(self.profile.directory),
            "cache": str(self._installed.cache),
        }

    def start(
        self,
        component: str,
        spec: ComponentProfile,
        values: Mapping[str, str],
        pipes: tuple[int, int] | None = None,
    ) -> ProcessTree:
        """Start a component's command."""
        extra = {name: fill(text, values) for name, text in spec.env.items()}
        directory = self.profile.directory / fill(spec.cwd, values)
        command = [fill(word, values) for word in spec.command]
        return self._execute(component, command, {**_usual(values), **extra}, directory, pipes)

    def run(self, name: str, words: tuple[str, ...], values: Mapping[str, str]) -> None:
        """Run a command to its end; raises InfrastructureError if it fails or takes too long."""
        command = [fill(word, values) for word in words]
        tree = self._execute(name, command, _usual(values), self.profile.directory, None)
        timeout_s = self.profile.database.timeout_s
        try:
            exit_code = tree.wait(timeout_s)
        finally:
            tree.kill_tree()
            tree.close()
        if exit_code != 0:
            ending = f"no end within {timeout_s:g} s" if exit_code is None else f"exit {exit_code}"
            raise InfrastructureError(
                cause=(
                    f"{' '.join(command)}: {ending}. Its log {tree.log_path} ends: "
                    f"{log_tail(tree.log_path)}"
                ),
                remedy="run the command by hand, and correct it in the profile",
            )

    def set_up(self, address: Address, unused_ledger: Path) -> None:
        """Run what the profile sets a database up by: scripts of SQL, then commands.

        Raises:
            InfrastructureError: one of them fails; the message names it.

        """
        database = self.profile.database
        for script in database.setup_sql:
            try:
                content = script.read_bytes()
            except OSError as error:
                raise InfrastructureError(
                    cause=f"cannot read {script}: {error.strerror}",
                    remedy="correct database.setup_sql",
                ) from error
            run_sql(address, content, str(script))
        values = self.values(SETUP, address, ledger=unused_ledger, port=None)
        for command in database.setup:
            self.run(SETUP, command, values)

    def log_path(self, component: str) -> Path:
        """Return where a component's output goes."""
        return self.logs / f"{component}.log"

    def _execute(
        self,
        component: str,
        command: list[str],
        environment: Mapping[str, str],
        directory: Path,
        pipes: tuple[int, int] | None,
    ) -> ProcessTree:
        mark = uuid.uuid4().hex
        child = self._keeper.execute(
            command,
            environment={**os.environ, **self._node_path(), **environment, MARK: mark},
            log_path=self.log_path(component),
            working_directory=directory,
            pipes=pipes,
        )
        return ProcessTree(child, self._keeper.pid, mark)

    def _node_path(self) -> dict[str, str]:
        """Return where programs that lie elsewhere find what npm installed."""
        modules = self._installed.modules
        return {"NODE_PATH": modules} if modules else {}


def _usual(values: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that every component gets; those of libpq lead to its database."""
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
