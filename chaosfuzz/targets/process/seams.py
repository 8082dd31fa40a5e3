"""What a reference system stands on: its processes, its database, and where its server listens.

Processes of this machine and containers both do.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from chaosfuzz.targets.components import Process


@runtime_checkable
class AnnouncingProcess(Process, Protocol):
    """One component that was started, and says when it is ready."""

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until it says so; raises InfrastructureError if it does not."""
        ...


Spawn = Callable[[str, str], AnnouncingProcess]
"""Starts a component by its name, with its settings as JSON; it announces when it is ready."""


class Database(Protocol):
    """The PostgreSQL of a system."""

    @property
    def is_running(self) -> bool:
        """Whether the postmaster is alive."""
        ...

    @property
    def socket_path(self) -> Path:
        """The unix socket that the server listens on while it runs."""
        ...

    def dsn(self, database: str = "postgres", over: Literal["tcp", "unix"] = "tcp") -> str:
        """Return the connection string of a database."""
        ...

    def start(self, timeout_s: float) -> None:
        """Start and wait until connections are accepted."""
        ...

    def stop(self, mode: Literal["fast", "immediate", "kill"]) -> None:
        """Stop and wait until every process is gone."""
        ...

    def terminate_backends(self, application_name: str, session: int = 0) -> int:
        """Cut off a session of an application (1 is the oldest, 0 all); return how many."""
        ...
