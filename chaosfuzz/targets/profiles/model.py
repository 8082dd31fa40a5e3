"""The format of profiles: how a system is started, given tasks and observed, and its contract.

These models are the only description of the format. The JSON Schema and the messages of errors are
made from them; a test compares the reference in docs/profiles.md with them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from signal import Signals
from typing import Annotated, Any, Literal, get_args

from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ProgrammingError
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from chaosfuzz.checked_toml import FromToml, Table, key
from chaosfuzz.domain.abilities import Restart
from chaosfuzz.domain.contract import Contract
from chaosfuzz.domain.errors import WrongValueError
from chaosfuzz.domain.task import TaskStatus
from chaosfuzz.targets.profiles.placeholders import (
    COMPONENT_VALUES,
    REQUEST_VALUES,
    only,
    placeholders_in,
)
from chaosfuzz.targets.profiles.promises import ContractProfile

VERSION = 1
Argument = Literal["duration_ms", "failures", "priority", "delay_ms"]
ARGUMENTS: tuple[Argument, ...] = get_args(Argument)
Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise WrongValueError(f"{value!r:.80} is no text", "write it in quotes")
    return value


def _file(name: str, info: ValidationInfo) -> Path:
    path: Path = (info.context or {}).get("directory", Path()) / name
    if not path.is_file():
        raise WrongValueError(f"{path} is no file", "write a path relative to the profile")
    return path


def _pattern(text: str) -> re.Pattern[str]:
    try:
        # The log is searched as a whole, so ^ and $ have to match at each of its lines.
        return re.compile(text, re.MULTILINE)
    except re.error as error:
        raise WrongValueError(
            f"{text!r:.80} is no regular expression: {error}", "use the syntax of Python's re"
        ) from error


def _dsn(dsn: str) -> str:
    try:
        parts = conninfo_to_dict(dsn)
    except ProgrammingError as error:
        raise WrongValueError(
            f"it is no connection string: {str(error).strip()}", "write a postgresql:// URL"
        ) from error
    if not parts.get("dbname"):
        raise WrongValueError(
            "it names no database", "add one, as in postgresql://user@host/database"
        )
    return dsn


def _name(name: str) -> str:
    if name in {"reference", "simulated"}:
        raise WrongValueError(
            f"{name!r} is the name of a target of chaosfuzz", "choose another name"
        )
    return name


def _summary(text: str, info: ValidationInfo) -> str:
    return text or f"the system of {(info.context or {}).get('origin', 'a profile')}"


Filled = Annotated[str, AfterValidator(only(*COMPONENT_VALUES))]
Requested = Annotated[str, AfterValidator(only(*REQUEST_VALUES))]
Command = Annotated[tuple[Filled, ...], FromToml, Field(min_length=1)]
OptionalCommand = Annotated[tuple[Filled, ...], FromToml]
Texts = Annotated[tuple[str, ...], FromToml]
File = Annotated[Path, BeforeValidator(_file), BeforeValidator(_text)]
Pattern = Annotated[re.Pattern[str], BeforeValidator(_pattern), BeforeValidator(_text)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Grace = Annotated[float, Field(gt=0, le=120)]
Port = Annotated[int, Field(gt=0, le=65535)]


class Readiness(Table):
    """When a component is ready: exactly one of line, http, tcp and query."""

    line: Pattern | None = key(
        "regular expression found in its output (of a producer: standard error)", None
    )
    http: str | None = key("path on {port} that answers 2xx", None)
    tcp: bool | None = key("true: {port} accepts connections", None)
    query: str | None = key("SQL whose first value becomes true", None)
    timeout_s: float = key("how long it may take to become ready", 20.0, gt=0, le=600)

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Refuse a table that names no way, or several."""
        ways = [way for way in ("line", "http", "tcp", "query") if given.get(way)]
        if len(ways) != 1:
            named = " and ".join(ways) or "nothing"
            yield "", f"it names {named}", "give one of line, http, tcp, query"


class ComponentProfile(Table):
    """A command that runs a component."""

    command: Command = key("program and arguments, with placeholders")
    ready: Readiness | None = key("when it is ready; if left out, at its first answer", None)
    env: dict[str, Filled] = key("more environment variables, with placeholders", {})
    cwd: Filled = key("working directory, relative to the profile", ".")
    restart: Restart = key("whether a worker that ended by itself is started again", "never")
    stop_name: Literal["TERM", "INT", "QUIT", "HUP", "USR1", "USR2"] = key(
        "signal that asks it to end", "TERM", alias="stop_signal"
    )
    grace_s: Grace = key("seconds from the stop signal to SIGKILL", 5.0)

    @property
    def stop_signal(self) -> int:
        """Number of the stop signal."""
        return Signals[f"SIG{self.stop_name}"]


_READY = 'when it is ready: {line = "REGEX"}, {http = "/PATH"}, {tcp = true} or {query = "SQL"}'


class WorkerProfile(ComponentProfile):
    """The command that runs one worker."""

    ready: Readiness = key(_READY)


class ServerProfile(WorkerProfile):
    """The command that runs the HTTP server."""

    health: str | None = key("path that answers 2xx while the server is well", None)


class DatabaseProfile(Table):
    """Where PostgreSQL is and how the schema is made. Without a dsn, chaosfuzz runs its own."""

    setup: Annotated[tuple[Command, ...], FromToml] = key(
        "commands that make the schema, run once for each lane", ()
    )
    setup_sql: Annotated[tuple[File, ...], FromToml] = key("SQL files that make the schema", ())
    timeout_s: Seconds = key("how long each command may take", 120.0, alias="setup_timeout_s")
    dsn: Annotated[str, AfterValidator(_dsn)] | None = key(
        "a server of your own, as a postgresql:// URL; chaosfuzz makes and drops databases there",
        None,
    )
    may_be_broken: bool = key("has to be true with a dsn: that server may be broken", default=False)
    stop: OptionalCommand = key("command that stops the server of dsn", ())
    start: OptionalCommand = key("command that starts it again", ())
    reset_sql: str = key("empties the database of dsn if its user may create none", "")

    @property
    def stoppable(self) -> bool:
        """Whether chaosfuzz can stop the server: its own, or one with `stop` and `start`."""
        return self.dsn is None or bool(self.stop and self.start)

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Refuse a dsn without may_be_broken, keys that need a dsn, and half of stop and start."""
        useless = [k for k in ("stop", "start", "reset_sql", "may_be_broken") if given.get(k)]
        if "dsn" in given and not given.get("may_be_broken"):
            cause = "chaosfuzz cuts connections of this server, creates and drops databases there"
            yield "dsn", cause, "write may_be_broken = true if it may, or leave out dsn"
        if "dsn" not in given and useless:
            yield "", f"without dsn there is no use for {', '.join(useless)}", "remove them"
        if bool(given.get("stop")) != bool(given.get("start")):
            yield "", "stop and start go together", "give both or none"


class ComposeProfile(Table):
    """A compose file whose services are the workers, the server and PostgreSQL."""

    file: File = key("compose file, relative to the profile")
    worker: str = key("the service whose containers are the workers")
    server: str | None = key("the service that is the HTTP server", None)
    server_port: Port = key("port of the server inside its container", 8000)
    health: str | None = key("path that answers 2xx while the server is well", None)
    database: str = key("the service that is PostgreSQL")
    database_port: Port = key("port of PostgreSQL inside its container", 5432)
    up_timeout_s: Seconds = key("how long the project may take to come up", 120.0)
    grace_s: Grace = key("seconds from SIGTERM to SIGKILL", 5.0)


class HttpCreation(Table):
    """A request that creates a task."""

    method: Literal["POST", "PUT"] = key("method of the request", "POST")
    path: Requested = key("path of the request, with placeholders", pattern="^/")
    body: Annotated[dict[str, Any], AfterValidator(only(*REQUEST_VALUES))] = key(
        "JSON body; a text that is one placeholder keeps the type of its value", {}
    )
    headers: dict[str, Requested] = key("more headers, with placeholders", {})
    task_id: str | None = key("JSON pointer to the task's id in the answer", None, alias="id")
    idempotency_header: str | None = key("header for the token, so that it can be resent", None)


class CreationProfile(Table):
    """How a task is created: exactly one of http, sql, command and by = "producer"."""

    by: Literal["producer", "http", "sql", "command"] | None = key(
        "'producer' if [producer] creates tasks", None
    )
    http: HttpCreation | None = key("a request to the server", None)
    sql: str | None = key("statement with %(token)s and so on that returns the id", None)
    command: OptionalCommand = key("program that is run once for each task", ())
    given: Annotated[tuple[Argument, ...], FromToml] | None = key(
        "arguments that the creation heeds; by default those that sql or body names",
        None,
        alias="takes",
    )
    timeout_ms: int = key("how long one creation may take", 5000, gt=0, le=120_000)

    @cached_property
    def takes(self) -> tuple[Argument, ...]:
        """The arguments of create_tasks that the creation heeds, each once."""
        if self.given is not None:
            return tuple(dict.fromkeys(self.given))
        if self.sql is not None:
            return tuple(name for name in ARGUMENTS if f"%({name})s" in (self.sql or ""))
        if self.http is not None:
            found = set(placeholders_in(self.http.body))
            return tuple(name for name in ARGUMENTS if name in found)
        # The profile does not show what a program heeds; these two are the usual ones.
        return ("duration_ms", "failures")

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Refuse a table that names no way, several ways, or another way than `by`."""
        by = given.get("by")
        ways = [way for way in ("http", "sql", "command") if given.get(way) not in (None, [])]
        ways += ["producer"] if by == "producer" else []
        if len(ways) != 1 or by not in (None, ways[0]):
            named = " and ".join(ways) or "nothing"
            yield "", f"it names {named}", "give one of http, sql, command, or by = 'producer'"


class StatesProfile(Table):
    """The queue's own words for each state."""

    pending: Texts = key("it waits, and no worker has tried it", ())
    running: Texts = key("a worker has claimed it", ())
    retrying: Texts = key("it waits for another attempt after a failed one", ())
    completed: Texts = key("it ended well", ())
    failed: Texts = key("it failed for good", ())
    cancelled: Texts = key("it was called off", ())

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Refuse a word that means two states, and a table without words."""
        meaning: dict[str, str] = {}
        for state in (state.value for state in TaskStatus if isinstance(given.get(state), list)):
            for word in map(str, given[state]):
                if word in meaning:
                    yield state, f"{word!r} means both {meaning[word]} and {state}", "choose one"
                meaning[word] = state
        if not any(given.values()):
            yield "", "it maps nothing", "add the queue's words"


class ListingProfile(Table):
    """How tasks are listed."""

    query: str = key("SQL with columns status, id and/or token; attempts, max_attempts, error")
    words: StatesProfile = key("the queue's words for each state", alias="states")
    deleted_means: Literal["completed", "done"] | None = key("what a deleted row means", None)

    @cached_property
    def states(self) -> Mapping[str, TaskStatus]:
        """The status that each word of the queue means."""
        return {word: state for state in TaskStatus for word in getattr(self.words, state)}


class Requirements(Table):
    """The packages that have to be installed before the system can start."""

    extra: str | None = key("extra of chaosfuzz that brings what is required", None)
    python: Texts = key("Python distributions, as name==version", (), alias="requires")
    npm: Texts = key("npm packages, as name@version, installed on first use", ())
    node: int | None = key("oldest Node that will do", None, ge=1)


class Profile(Requirements):
    """A target that is described by a file."""

    chaosfuzz_profile: Literal[1] = key("version of the format")
    extends: str | None = key("another profile's file, whose keys this one adds to", None)
    name: Annotated[str, AfterValidator(_name)] = key(
        "the target's name: a-z, 0-9 and -, at most 40", pattern="^[a-z0-9][a-z0-9-]{0,39}$"
    )
    summary: Annotated[str, AfterValidator(_summary)] = key(
        "one line about the target", "", validate_default=True
    )
    database: DatabaseProfile = key("where PostgreSQL is", DatabaseProfile())
    own_server: ServerProfile | None = key("the HTTP server, if there is one", None, alias="server")
    own_worker: WorkerProfile | None = key("which command runs one worker", None, alias="worker")
    compose: ComposeProfile | None = key("compose file in place of server and worker", None)
    producer: ComponentProfile | None = key("program that stays and creates tasks", None)
    creation: CreationProfile | None = key("how a task is created", None, alias="create")
    tasks: ListingProfile = key("how tasks are listed")
    promises: ContractProfile = key("what the target promises", alias="contract")
    _path: Path = Path("profile.toml")

    def model_post_init(self, context: object, /) -> None:
        """Set the path of the file, which the validation's context holds as `origin`."""
        if isinstance(context, dict):
            self._path = context["origin"].resolve()

    @property
    def path(self) -> Path:
        """The profile's file."""
        return self._path

    @property
    def directory(self) -> Path:
        """The folder of the profile's file."""
        return self.path.parent

    @cached_property
    def worker(self) -> ComponentProfile:
        """The worker's command and signals. A service of a compose file has no command."""
        if self.own_worker is not None:
            return self.own_worker
        assert self.compose is not None, "conflicts refuses a profile without either"
        return ComponentProfile.model_construct(command=(), grace_s=self.compose.grace_s)

    @cached_property
    def server(self) -> ServerProfile | None:
        """The HTTP server, None without one. A service of a compose file has no command."""
        compose = self.compose
        if compose is None or compose.server is None:
            return self.own_server
        return ServerProfile.model_construct(
            command=(), ready=None, health=compose.health, grace_s=compose.grace_s
        )

    @cached_property
    def contract(self) -> Contract:
        """The contract in the form that invariants use."""
        creation = self.creation
        return self.promises.as_contract(
            priorities=creation is not None and "priority" in creation.takes,
            serves_requests=creation is not None and creation.http is not None,
        )

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Refuse tables that exclude each other, and tables that need a missing one."""
        tables = {name: value for name, value in given.items() if isinstance(value, dict)}
        compose, create = tables.get("compose"), tables.get("create", {})
        database = tables.get("database", {})
        if "compose" not in given and "worker" not in given:
            yield (
                "",
                "worker is missing (which command runs one?)",
                "add [worker], or name a compose file in [compose]",
            )
        if compose is not None and ("worker" in given or "server" in given):
            cause = "the compose file runs server and workers"
            yield "compose", cause, "remove [server] and [worker]"
        if compose is not None and not (database.get("dsn") and database.get("reset_sql")):
            cause = "compose needs dsn and reset_sql, the SQL that empties the database"
            remedy = "add them; the dsn names user, password and database of the service"
            yield "database", cause, remedy
        if create and (create.get("by") == "producer") != ("producer" in given):
            yield "create", "by = 'producer' and [producer] go together", "give both or none"
        if "http" in create and "server" not in given and not (compose or {}).get("server"):
            yield "create", "http needs a [server]", "add [server], or create tasks another way"


def json_schema() -> str:
    """Return the JSON Schema of profile files as text."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**schema, **Profile.model_json_schema()}, indent=2) + "\n"
