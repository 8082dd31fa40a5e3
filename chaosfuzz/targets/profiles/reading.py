"""Reads a profile file, and refuses what is none with file, line, value and remedy."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ProgrammingError
from pydantic import ValidationError

from chaosfuzz.actions import create_tasks
from chaosfuzz.domain.contract import Contract, Guarantee, Limit, WorkerExit
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.task import TaskStatus
from chaosfuzz.domain.verdict import Kind
from chaosfuzz.targets.profiles import schema
from chaosfuzz.targets.profiles.document import Document, Place, read
from chaosfuzz.targets.profiles.model import (
    ARGUMENTS,
    ComponentProfile,
    ComposeProfile,
    CreationProfile,
    DatabaseProfile,
    HttpCreation,
    ListingProfile,
    Profile,
    Readiness,
    Requirements,
    ServerProfile,
)
from chaosfuzz.targets.profiles.placeholders import PLACES, REQUEST, names_in

_SHOWN = 80
_RESERVED = ("reference", "simulated")
# Without saying so, a creation is taken to heed no more than these.
_USUAL = ("duration_ms", "failures")


def load_profile(path: Path) -> Profile:
    """Return the profile in a file.

    Raises:
        UsageError: it cannot be read, is no profile, or says what cannot be.

    """
    document = read(path)
    _check_version(document)
    try:
        file = schema.ProfileFile.model_validate(document.value)
    except ValidationError as error:
        raise _refusal(error, document) from error
    return _Reader(document, file).profile()


def _check_version(document: Document) -> None:
    version = document.value.get("chaosfuzz_profile")
    if version is None:
        raise document.refuse("not a profile", f"add chaosfuzz_profile = {schema.VERSION}")
    place = ("chaosfuzz_profile",)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise document.refuse(
            f"{place[0]}={version!r} is no version", f"write {schema.VERSION}", place
        )
    if version > schema.VERSION:
        raise document.refuse(f"made for a newer format, {version}", "upgrade chaosfuzz", place)


def _refusal(error: ValidationError, document: Document) -> UsageError:
    first = error.errors()[0]
    place = first["loc"]
    where = ".".join(str(part) for part in place)[:_SHOWN]
    if first["type"] == "missing":
        return document.refuse(f"{where} is missing", "add it", place[:-1])
    if first["type"] == "extra_forbidden":
        return document.refuse(
            f"unknown key {where}",
            "remove it or upgrade chaosfuzz (chaosfuzz profile schema)",
            place,
        )
    problem = f"{where}={_brief(first['input'])}: {first['msg'].lower()}"
    return document.refuse(problem, "correct the value", place)


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


class _Reader:
    """Turns a file that has the right shape into a profile that makes sense."""

    def __init__(self, document: Document, file: schema.ProfileFile) -> None:
        self._document = document
        self._file = file
        self._directory = document.origin.resolve().parent

    def profile(self) -> Profile:
        """Return the profile; raises UsageError for what cannot be."""
        file = self._file
        if file.name in _RESERVED:
            raise self._refuse(f"name={file.name!r} is taken", "choose another", "name")
        creation = self._creation()
        server = None
        if file.server is not None:
            parts = self._component(file.server, "server")
            server = ServerProfile(**parts, health=file.server.health)
        compose = self._compose()
        if compose is not None and file.compose is not None and compose.server is not None:
            health = file.compose.health
            server = ServerProfile(
                command=(), ready=None, health=health, grace_s=file.compose.grace_s
            )
        return Profile(
            name=file.name,
            summary=file.summary or f"the system of {self._document.origin}",
            path=self._document.origin.resolve(),
            requirements=Requirements(
                extra=file.extra,
                python=tuple(file.requires),
                npm=tuple(file.npm),
                node=file.node,
            ),
            database=self._database(),
            server=server,
            worker=self._worker(),
            compose=compose,
            creation=creation,
            tasks=self._tasks(),
            contract=self._contract(creation),
        )

    def _worker(self) -> ComponentProfile:
        file = self._file
        if file.compose is not None:
            return ComponentProfile(command=(), ready=None, grace_s=file.compose.grace_s)
        if file.worker is None:
            raise self._refuse("worker is missing", "name the command of one, or a compose file")
        return ComponentProfile(**self._component(file.worker, "worker"))

    def _compose(self) -> ComposeProfile | None:
        file = self._file.compose
        if file is None:
            return None
        path = self._directory / file.file
        if not path.is_file():
            raise self._refuse(f"compose.file: {path} is no file", "correct it", "compose", "file")
        if self._file.worker is not None or self._file.server is not None:
            remedy = "remove [server] and [worker]"
            raise self._refuse("the compose file runs server and workers", remedy, "compose")
        if self._file.database.dsn is None or not self._file.database.reset_sql:
            problem = (
                "compose needs database.dsn (user, password and name of the service's "
                "database) and database.reset_sql, which empties it before each schedule"
            )
            raise self._refuse(problem, "add them", "database")
        return ComposeProfile(
            file=path,
            worker=file.worker,
            server=file.server,
            server_port=file.server_port,
            database=file.database,
            database_port=file.database_port,
            up_timeout_s=file.up_timeout_s,
        )

    def _refuse(self, cause: str, remedy: str, *place: str | int) -> UsageError:
        return self._document.refuse(cause, remedy, place)

    def _component(self, file: schema.ComponentFile, name: str) -> dict[str, Any]:
        if file.ready is None and name != "producer":
            raise self._refuse(
                f"{name}.ready is missing, which says how to know that it is ready",
                'write for example ready = {line = "started"}, {http = "/health"}, {tcp = true} '
                'or {query = "..."}',
                name,
            )
        self._check_words(file.command, PLACES, (name, "command"))
        self._check_words([*file.env.values(), file.cwd], PLACES, (name, "env"))
        return {
            "command": tuple(file.command),
            "ready": None if file.ready is None else self._ready(file.ready, name),
            "env": dict(file.env),
            "cwd": file.cwd,
            "restart": file.restart,
            "stop_signal": int(signal.Signals[f"SIG{file.stop_signal}"]),
            "grace_s": file.grace_s,
        }

    def _ready(self, file: schema.ReadyFile, name: str) -> Readiness:
        given = [way for way in ("line", "http", "tcp", "query") if getattr(file, way)]
        if len(given) != 1:
            problem = f"{name}.ready names {given or 'nothing'}"
            raise self._refuse(problem, "give one of line, http, tcp, query", name, "ready")
        line = None
        if file.line is not None:
            try:
                # The log is searched as a whole: ^ and $ are those of any of its lines.
                line = re.compile(file.line, re.MULTILINE)
            except re.error as error:
                problem = f"{name}.ready.line={_brief(file.line)} is no regular expression: {error}"
                raise self._refuse(problem, "correct the expression", name, "ready") from error
        return Readiness(
            timeout_s=file.timeout_s,
            line=line,
            http=file.http,
            tcp=bool(file.tcp),
            query=file.query,
        )

    def _database(self) -> DatabaseProfile:
        file = self._file.database
        for index, command in enumerate(file.setup):
            self._check_words(command, PLACES, ("database", "setup", index))
        paths = [self._directory / name for name in file.setup_sql]
        for path in paths:
            if not path.is_file():
                problem = f"database.setup_sql: {path} is no file"
                raise self._refuse(problem, "correct the name", "database", "setup_sql")
        if file.dsn is not None:
            self._check_dsn(file)
        elif file.stop or file.start or file.reset_sql or file.may_be_broken:
            raise self._refuse("stop, start and reset_sql go with a dsn", "remove them", "database")
        if bool(file.stop) != bool(file.start):
            raise self._refuse("stop and start go together", "give both or none", "database")
        return DatabaseProfile(
            setup=tuple(map(tuple, file.setup)),
            setup_sql=tuple(paths),
            dsn=file.dsn,
            stop=tuple(file.stop),
            start=tuple(file.start),
            reset_sql=file.reset_sql,
            timeout_s=file.setup_timeout_s,
        )

    def _check_dsn(self, file: schema.DatabaseFile) -> None:
        if not file.may_be_broken:
            problem = (
                "this run cuts connections of the server of dsn, makes and drops databases there, "
                "and the profile does not allow it"
            )
            remedy = "write may_be_broken = true if it may, or leave out dsn"
            raise self._refuse(problem, remedy, "database", "dsn")
        try:
            parts = conninfo_to_dict(str(file.dsn))
        except ProgrammingError as error:
            problem = f"database.dsn is no connection string: {str(error).strip()}"
            raise self._refuse(problem, "correct it", "database", "dsn") from error
        if not parts.get("dbname"):
            raise self._refuse("database.dsn names no database", "add it", "database", "dsn")

    def _creation(self) -> CreationProfile | None:
        file = self._file.create
        if file is None:
            return None
        ways = {
            "http": file.http is not None,
            "sql": file.sql is not None,
            "command": bool(file.command),
            "producer": file.by == "producer",
        }
        chosen = [way for way, is_given in ways.items() if is_given]
        if len(chosen) != 1 or file.by not in {None, chosen[0]}:
            given = " and ".join(chosen) or "nothing"
            remedy = "give one of http, sql, command, or by = 'producer'"
            raise self._refuse(f"create names {given}", remedy, "create")
        if (file.by == "producer") != (self._file.producer is not None):
            problem = "create.by = 'producer' and [producer] go together"
            raise self._refuse(problem, "give both or none", "create")
        compose = self._file.compose
        serves = self._file.server is not None or (compose is not None and compose.server)
        if file.http is not None and not serves:
            raise self._refuse("create.http needs a [server]", "describe it", "create")
        self._check_words(file.command, (*PLACES, *REQUEST), ("create", "command"))
        producer = None
        if self._file.producer is not None:
            producer = ComponentProfile(**self._component(self._file.producer, "producer"))
        return CreationProfile(
            takes=self._takes(file),
            timeout_ms=file.timeout_ms,
            http=None if file.http is None else self._http(file.http),
            sql=file.sql,
            command=tuple(file.command),
            producer=producer,
        )

    def _takes(self, file: schema.CreateFile) -> tuple[str, ...]:
        if file.takes is not None:
            return tuple(dict.fromkeys(file.takes))
        if file.sql is not None:
            return tuple(name for name in ARGUMENTS if f"%({name})s" in file.sql)
        if file.http is not None:
            found = set(_words_of(file.http.body))
            return tuple(name for name in ARGUMENTS if name in found)
        return _USUAL

    def _http(self, file: schema.HttpFile) -> HttpCreation:
        texts = [file.path, *file.headers.values()]
        self._check_words(texts, REQUEST, ("create", "http"))
        for name in _words_of(file.body):
            self._check_word(name, REQUEST, ("create", "http"))
        return HttpCreation(
            method=file.method,
            path=file.path,
            body=file.body,
            headers=dict(file.headers),
            task_id=file.id,
            idempotency_header=file.idempotency_header,
        )

    def _tasks(self) -> ListingProfile:
        file = self._file.tasks
        states: dict[str, TaskStatus] = {}
        for status in TaskStatus:
            for word in getattr(file.states, status.value):
                if word in states:
                    problem = f"{word!r} means both {states[word]} and {status}"
                    raise self._refuse(problem, "choose one", "tasks", "states", status.value)
                states[word] = status
        if not states:
            raise self._refuse("tasks.states maps nothing", "add the queue's words", "tasks")
        return ListingProfile(query=file.query, states=states, deleted_means=file.deleted_means)

    def _contract(self, creation: CreationProfile | None) -> Contract:
        file = self._file.contract
        for index, limit in enumerate(file.limits):
            self._check_limit(limit, index)
        return Contract(
            guarantee=Guarantee(file.guarantee),
            lease_ms=file.lease_ms,
            recovery_ms=file.recovery_ms,
            acknowledgement_grace_ms=file.acknowledgement_grace_ms,
            request_timeout_ms=file.request_timeout_ms,
            health_ms=file.health_ms,
            max_attempts=file.max_attempts or 0,
            worker_exit=WorkerExit(file.worker_exit),
            priorities=creation is not None and "priority" in creation.takes,
            overlap_after_pause_is_declared=file.overlap_after_pause == "allowed",
            failed_after_finish_is_declared=file.failed_after_finish == "allowed",
            late_start_is_declared=file.late_start == "allowed"
            and file.guarantee != "at-most-once",
            slots_per_worker=file.slots_per_worker,
            pickup_ms=file.pickup_ms,
            serves_requests=creation is not None and creation.http is not None,
            limits=tuple(
                Limit(
                    kind=limit.kind,
                    says=limit.says,
                    source=limit.source,
                    after=tuple(limit.after),
                    status=limit.status,
                    of_run=limit.scope == "run",
                )
                for limit in file.limits
            ),
            source=file.source,
        )

    def _check_limit(self, limit: schema.LimitFile, index: int) -> None:
        place = ("contract", "limits", index)
        kinds = [kind.value for kind in Kind]
        if limit.kind not in kinds:
            there = f"there are: {', '.join(kinds)}"
            raise self._refuse(f"unknown kind {_brief(limit.kind)}", there, *place, "kind")
        if limit.status and limit.status not in list(TaskStatus):
            problem = f"unknown status {_brief(limit.status)}"
            raise self._refuse(problem, f"there are: {', '.join(TaskStatus)}", *place, "status")
        for name in ("says", "source"):
            if not getattr(limit, name).strip():
                remedy = f"write {name}: what is documented, and where"
                raise self._refuse(f"a documented limit has no {name}", remedy, *place, name)

    def _check_words(self, texts: list[str], known: tuple[str, ...], place: Place) -> None:
        for text in texts:
            for name in names_in(text):
                self._check_word(name, known, place)

    def _check_word(self, name: str, known: tuple[str, ...], place: Place) -> None:
        if name not in known:
            there = ", ".join(f"{{{word}}}" for word in known)
            problem = f"unknown placeholder {{{name}}}"
            raise self._refuse(problem, f"there are: {there} ({{{{ is a brace)", *place)
        if name == "port" and self._file.server is None:
            raise self._refuse("{port} is the port of a [server]", "describe it", *place)


def _words_of(body: object) -> Iterator[str]:
    """Yield the placeholders of all texts in a JSON value."""
    if isinstance(body, str):
        yield from names_in(body)
    elif isinstance(body, dict):
        for value in body.values():
            yield from _words_of(value)
    elif isinstance(body, list):
        for value in body:
            yield from _words_of(value)


assert all(create_tasks.parameter(name) for name in ARGUMENTS)
