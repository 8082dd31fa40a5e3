"""The shape of a profile file, as pydantic checks it and as JSON Schema publishes it."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

VERSION = 1

Words = Annotated[list[str], Field(min_length=1)]
Argument = Literal["duration_ms", "failures", "priority", "delay_ms"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ReadyFile(_Strict):
    """How one knows that a component is ready: exactly one of line, http, tcp, query."""

    line: str | None = Field(default=None, description="regular expression found in its output")
    http: str | None = Field(default=None, description="path on {port} that answers 2xx")
    tcp: bool | None = Field(default=None, description="{port} accepts connections")
    query: str | None = Field(default=None, description="SQL whose first value becomes true")
    timeout_s: float = Field(default=20.0, gt=0, le=600)


class ComponentFile(_Strict):
    """A command that runs a component."""

    command: Words = Field(description="program and arguments, with placeholders")
    ready: ReadyFile | None = None
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str = Field(default=".", description="relative to the profile")
    restart: Literal["always", "on-failure", "never"] = Field(
        "never", description="what becomes of it after an exit nobody ordered"
    )
    stop_signal: Literal["TERM", "INT", "QUIT", "HUP", "USR1", "USR2"] = "TERM"
    grace_s: float = Field(default=5.0, gt=0, le=120, description="from the stop signal to SIGKILL")


class ServerFile(ComponentFile):
    """The HTTP server."""

    health: str | None = Field(default=None, description="path that answers 2xx if it is well")


class DatabaseFile(_Strict):
    """Where the database is; embedded if there is no dsn."""

    setup: list[Words] = Field(
        default_factory=list, description="commands that make the schema, run once a lane"
    )
    setup_sql: list[str] = Field(default_factory=list, description="SQL files beside the profile")
    setup_timeout_s: float = Field(default=120.0, gt=0, le=3600)
    dsn: str | None = Field(default=None, description="server of your own, a postgresql:// URL")
    may_be_broken: bool = Field(default=False, description="has to be true with a dsn")
    stop: list[str] = Field(default_factory=list, description="command that stops that server")
    start: list[str] = Field(default_factory=list, description="command that starts it")
    reset_sql: str = Field(default="", description="empties the database if none may be created")


class ComposeFile(_Strict):
    """A compose file that runs the system, and which of its services is what."""

    file: str = Field(description="compose file, relative to the profile")
    worker: str = Field(description="the service whose containers are the workers")
    server: str | None = Field(default=None, description="the service that is the HTTP server")
    server_port: int = Field(default=8000, gt=0, le=65535, description="inside its container")
    health: str | None = Field(default=None, description="path that answers 2xx if it is well")
    database: str = Field(description="the service that is PostgreSQL")
    database_port: int = Field(default=5432, gt=0, le=65535, description="inside its container")
    up_timeout_s: float = Field(default=120.0, gt=0, le=3600)
    grace_s: float = Field(default=5.0, gt=0, le=120, description="from SIGTERM to SIGKILL")


class HttpFile(_Strict):
    """A request that creates a task."""

    method: Literal["POST", "PUT"] = "POST"
    path: str = Field(pattern="^/")
    body: dict[str, Any] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    id: str | None = Field(default=None, description="JSON pointer to the id in the answer")
    idempotency_header: str | None = Field(default=None, description="header for the token")


class CreateFile(_Strict):
    """How a task is created: exactly one of http, sql, command, or by = "producer"."""

    by: Literal["producer", "http", "sql", "command"] | None = None
    http: HttpFile | None = None
    sql: str | None = Field(default=None, description="with %(token)s and so on; returns the id")
    command: list[str] = Field(default_factory=list, description="run once a task")
    takes: list[Argument] | None = Field(default=None, description="arguments that it heeds")
    timeout_ms: int = Field(default=5000, gt=0, le=120_000)


class StatesFile(_Strict):
    """The queue's own words for each state."""

    pending: list[str] = Field(default_factory=list)
    running: list[str] = Field(default_factory=list)
    retrying: list[str] = Field(default_factory=list)
    completed: list[str] = Field(default_factory=list)
    failed: list[str] = Field(default_factory=list)
    cancelled: list[str] = Field(default_factory=list)


class TasksFile(_Strict):
    """How tasks are listed."""

    query: str = Field(description="columns: id and/or token, status; attempts, error if there are")
    states: StatesFile
    deleted_means: Literal["completed", "done"] | None = None


class LimitFile(_Strict):
    """A behaviour that the target's own documentation admits."""

    kind: str
    says: str
    source: str
    after: list[Literal["killed", "stopped", "paused", "cut-off", "database-down", "server-down"]]
    status: str = ""
    scope: Literal["task", "run"] = Field(
        default="task", description="whether the fault has to have touched the task, or came before"
    )


class ContractFile(_Strict):
    """What the target promises."""

    guarantee: Literal["at-most-once", "at-least-once"]
    source: str = Field(default="", description="where the promise is written")
    lease_ms: int = Field(default=3000, gt=0, le=600_000)
    recovery_ms: int = Field(default=8000, gt=0, le=3_600_000)
    acknowledgement_grace_ms: int = Field(default=1000, ge=0, le=600_000)
    request_timeout_ms: int = Field(default=5000, gt=0, le=600_000)
    health_ms: int = Field(default=8000, gt=0, le=600_000)
    max_attempts: int | None = Field(default=None, ge=1, le=1000)
    pickup_ms: int = Field(default=2000, gt=0, le=600_000)
    slots_per_worker: int | None = Field(default=None, ge=1, le=1000)
    overlap_after_pause: Literal["allowed", "broken"] = "allowed"
    failed_after_finish: Literal["allowed", "broken"] = "allowed"
    late_start: Literal["allowed", "broken"] = "allowed"
    worker_exit: Literal["broken", "without-database", "allowed", "harness"] = "broken"
    limits: list[LimitFile] = Field(default_factory=list)


class ProfileFile(_Strict):
    """A system that chaosfuzz did not bring along."""

    chaosfuzz_profile: Literal[1]
    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,39}$")
    summary: str = ""
    extra: str | None = None
    requires: list[str] = Field(default_factory=list)
    npm: list[str] = Field(default_factory=list)
    node: int | None = Field(default=None, ge=1)
    database: DatabaseFile = Field(default_factory=DatabaseFile)
    server: ServerFile | None = None
    worker: ComponentFile | None = None
    compose: ComposeFile | None = None
    producer: ComponentFile | None = None
    create: CreateFile | None = None
    tasks: TasksFile
    contract: ContractFile


def json_schema() -> str:
    """Return the JSON Schema of profile files as text."""
    schema = ProfileFile.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2) + "\n"
