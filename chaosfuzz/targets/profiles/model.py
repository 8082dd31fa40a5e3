"""A profile: how somebody's own system is started, given work, observed, and what it promises."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chaosfuzz.domain.abilities import Restart
from chaosfuzz.domain.contract import Contract
from chaosfuzz.domain.task import TaskStatus

# Arguments of create_tasks that a creation may heed.
ARGUMENTS = ("duration_ms", "failures", "priority", "delay_ms")

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """How one knows that a component is ready: exactly one of the ways."""

    timeout_s: float
    line: re.Pattern[str] | None = None
    http: str | None = None
    tcp: bool = False
    query: str | None = None


@dataclass(frozen=True, kw_only=True)
class ComponentProfile:
    """A command that runs a component, with placeholders."""

    command: tuple[str, ...]
    ready: Readiness | None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "."
    restart: Restart = "never"
    stop_signal: int = 15
    grace_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class ServerProfile(ComponentProfile):
    """The HTTP server; `health` is the path that says 200 if it is well, none if it has none."""

    health: str | None = None


@dataclass(frozen=True, kw_only=True)
class DatabaseProfile:
    """Where the database is and how it is made ready. Without a DSN the lane has its own."""

    setup: tuple[tuple[str, ...], ...] = ()
    setup_sql: tuple[Path, ...] = ()
    dsn: str | None = None
    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    reset_sql: str = ""
    timeout_s: float = 120.0

    @property
    def stoppable(self) -> bool:
        """Say whether it can be stopped: one's own, or by named commands."""
        return self.dsn is None or bool(self.stop and self.start)


@dataclass(frozen=True, kw_only=True)
class HttpCreation:
    """A request that creates a task; `task_id` points (RFC 6901) to the id in the answer."""

    method: str
    path: str
    body: Json
    headers: Mapping[str, str]
    task_id: str | None
    idempotency_header: str | None


@dataclass(frozen=True, kw_only=True)
class CreationProfile:
    """How a task is created: exactly one of the ways. `takes` are the arguments it heeds."""

    takes: tuple[str, ...]
    timeout_ms: int
    http: HttpCreation | None = None
    sql: str | None = None
    command: tuple[str, ...] = ()
    producer: ComponentProfile | None = None


@dataclass(frozen=True, kw_only=True)
class ListingProfile:
    """How tasks are listed, and what the queue's words mean.

    `deleted_means` is what a row that is gone says: nothing, if None, else that the queue is done
    with the task, whose end the ledger tells.
    """

    query: str
    states: Mapping[str, TaskStatus]
    deleted_means: Literal["completed", "done"] | None = None


@dataclass(frozen=True, kw_only=True)
class ComposeProfile:
    """A compose file that runs the system, and which of its services is what."""

    file: Path
    worker: str
    server: str | None
    server_port: int
    database: str
    database_port: int
    up_timeout_s: float


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What has to be installed before anything is started."""

    extra: str | None = None
    python: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    node: int | None = None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A system that somebody else wrote."""

    name: str
    summary: str
    path: Path
    requirements: Requirements
    database: DatabaseProfile
    server: ServerProfile | None
    worker: ComponentProfile
    creation: CreationProfile | None
    tasks: ListingProfile
    contract: Contract
    compose: ComposeProfile | None = None

    @property
    def directory(self) -> Path:
        """The folder of the profile's file."""
        return self.path.parent
