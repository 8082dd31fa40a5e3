"""Creates tasks in a system, in the way that its profile says."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import psycopg

from chaosfuzz.domain.outcome import Reception, Reply
from chaosfuzz.domain.task import TaskRequest
from chaosfuzz.targets.http_calls import HttpCalls, NeverSentError, silent
from chaosfuzz.targets.profiles.model import HttpCreation, Json
from chaosfuzz.targets.profiles.placeholders import fill

ACCEPTED, REFUSED, BROKEN = 200, 400, 500
_CONNECT_TIMEOUT_S = 5


class Creator(Protocol):
    """Puts tasks into the queue."""

    def create(self, request: TaskRequest, delay_ms: int) -> Reply:
        """Ask for a task; never raises for a system that is broken."""
        ...

    def close(self) -> None:
        """End what the creator holds."""
        ...


def arguments_of(request: TaskRequest, delay_ms: int) -> dict[str, str | int]:
    """Return what a creation may use of a request."""
    return {
        "token": request.token,
        "duration_ms": request.duration_ms,
        "failures": request.failures,
        "priority": request.priority,
        "delay_ms": delay_ms,
    }


class HttpCreator:
    """Creates tasks by an HTTP request."""

    def __init__(self, creation: HttpCreation, calls: HttpCalls) -> None:
        self._creation = creation
        self._calls = calls

    def create(self, request: TaskRequest, delay_ms: int) -> Reply:
        """Send the request."""
        values = arguments_of(request, delay_ms)
        texts = {name: str(value) for name, value in values.items()}
        headers = {"Content-Type": "application/json"}
        headers |= {name: fill(text, texts) for name, text in self._creation.headers.items()}
        if self._creation.idempotency_header is not None:
            headers[self._creation.idempotency_header] = request.token
        content = json.dumps(filled(self._creation.body, values)).encode()
        sent_ns = time.monotonic_ns()
        path = fill(self._creation.path, texts)
        try:
            response = self._calls.request(self._creation.method, path, content, headers)
        except NeverSentError as error:
            return silent(Reception.NEVER_SENT, error.__cause__ or error, sent_ns)
        except (OSError, http.client.HTTPException) as error:
            return silent(Reception.SENT_WITHOUT_ANSWER, error, sent_ns)
        return Reply(
            reception=Reception.ANSWERED,
            status=response.status,
            task_id=pointed(response.body, self._creation.task_id),
            detail=f"{response.status} {response.body.decode(errors='replace')[:160]}",
            sent_ns=sent_ns,
            ended_ns=time.monotonic_ns(),
        )

    def close(self) -> None:
        """Nothing is held."""


class SqlCreator:
    """Creates tasks by a statement, each over a session of its own."""

    def __init__(self, sql: str, dsn: str, timeout_s: float) -> None:
        self._sql = sql.encode()
        self._dsn = dsn
        self._timeout_s = timeout_s

    def create(self, request: TaskRequest, delay_ms: int) -> Reply:
        """Run the statement; what is not answered in time may have happened."""
        sent_ns = time.monotonic_ns()
        try:
            connection = psycopg.connect(
                self._dsn, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S
            )
        except psycopg.Error as error:
            return silent(Reception.NEVER_SENT, error, sent_ns)
        late = threading.Timer(self._timeout_s, connection.pgconn.finish)
        late.daemon = True
        late.start()
        try:
            with connection:
                cursor = connection.execute(self._sql, arguments_of(request, delay_ms))
                row = cursor.fetchone() if cursor.description else None
        except psycopg.OperationalError as error:
            return silent(Reception.SENT_WITHOUT_ANSWER, error, sent_ns)
        except psycopg.Error as error:
            said = " ".join(str(error).split())
            if isinstance(error, psycopg.errors.IndeterminateDatatype):
                said += "; values are sent apart from the statement: write %(token)s::text"
            return answered(REFUSED, None, said, sent_ns)
        finally:
            late.cancel()
        task_id = None if row is None or row[0] is None else str(row[0])
        return answered(ACCEPTED, task_id, "", sent_ns)

    def close(self) -> None:
        """Nothing is held."""


class LineCreator:
    """Creates tasks by a program that answers each line of JSON with one."""

    def __init__(self, ask: Callable[[bytes], bytes | str], close: Callable[[], None]) -> None:
        self._ask = ask
        self.close = close

    def create(self, request: TaskRequest, delay_ms: int) -> Reply:
        """Send a line, and read what became of the task."""
        sent_ns = time.monotonic_ns()
        line = json.dumps(arguments_of(request, delay_ms)).encode() + b"\n"
        answer = self._ask(line)
        if isinstance(answer, str):
            return silent(Reception.SENT_WITHOUT_ANSWER, answer, sent_ns)
        return read_answer(answer, sent_ns)


def read_answer(line: bytes, sent_ns: int) -> Reply:
    """Return the reply in a producer's answer; what is no answer says nothing."""
    try:
        answer = json.loads(line)
        ok, task_id = answer["ok"], answer.get("id")
        certain, error = answer.get("certain", False), answer.get("error", "")
        if not isinstance(ok, bool) or not isinstance(certain, bool):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError):
        said = line[:160].decode(errors="replace").strip()
        problem = f'the producer answered {said!r}; it has to be {{"id": "...", "ok": true}}'
        return silent(Reception.SENT_WITHOUT_ANSWER, problem, sent_ns)
    if ok:
        return answered(ACCEPTED, None if task_id is None else str(task_id), "", sent_ns)
    return answered(REFUSED if certain else BROKEN, None, str(error)[:400], sent_ns)


def answered(status: int, task_id: str | None, detail: str, sent_ns: int) -> Reply:
    """Return the reply of a request that was answered; by the status its outcome is known."""
    return Reply(
        reception=Reception.ANSWERED,
        status=status,
        task_id=task_id,
        detail=detail or str(status),
        sent_ns=sent_ns,
        ended_ns=time.monotonic_ns(),
    )


def filled(body: Json, values: Mapping[str, str | int]) -> Json:
    """Return a JSON value with placeholders replaced; one alone keeps its value's type."""
    if isinstance(body, str):
        if body.startswith("{") and body.endswith("}") and body[1:-1] in values:
            return values[body[1:-1]]
        return fill(body, {name: str(value) for name, value in values.items()})
    if isinstance(body, dict):
        return {key: filled(value, values) for key, value in body.items()}
    if isinstance(body, list):
        return [filled(value, values) for value in body]
    return body


def pointed(content: bytes, pointer: str | None) -> str | None:
    """Return what a JSON pointer (RFC 6901) finds in a document, as text; None if nothing."""
    if pointer is None:
        return None
    try:
        value = json.loads(content)
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            value = value[int(name)] if isinstance(value, list) else value[name]
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    return None if value is None else str(value)
