"""Creates tasks in a system, in the way that its profile describes.

Each function creates one task and returns a Reply. A system that is broken raises nothing.
"""

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping

import psycopg

from chaosfuzz.domain.outcome import Reception, Reply
from chaosfuzz.domain.task import TaskRequest
from chaosfuzz.targets.http_calls import HttpCalls, NeverSentError, silent
from chaosfuzz.targets.profiles.model import HttpCreation, Json
from chaosfuzz.targets.profiles.placeholders import fill

# HTTP statuses, which classify() maps to OK, FAILED and UNKNOWN.
ACCEPTED, REFUSED, UNCLEAR = 200, 400, 500
# Chosen by hand.
_CONNECT_TIMEOUT_S = 5
# Length of an answer in a Reply's detail, chosen by hand.
_SHOWN = 160
# Creates a task whose first attempt is due after so many milliseconds.
CreateTask = Callable[[TaskRequest, int], Reply]
# Takes a line of JSON; returns the answer's line, or as text the reason why there is none.
AskLine = Callable[[bytes], bytes | str]


def request_values(request: TaskRequest, delay_ms: int) -> dict[str, str | int]:
    """Return the values of the placeholders that stand for a task."""
    return {
        "token": request.token,
        "duration_ms": request.duration_ms,
        "failures": request.failures,
        "priority": request.priority,
        "delay_ms": delay_ms,
    }


def create_by_http(
    creation: HttpCreation, calls: HttpCalls, request: TaskRequest, delay_ms: int
) -> Reply:
    """Create a task by an HTTP request."""
    values = request_values(request, delay_ms)
    texts = {name: str(value) for name, value in values.items()}
    headers = {"Content-Type": "application/json"}
    headers |= {name: fill(text, texts) for name, text in creation.headers.items()}
    if creation.idempotency_header is not None:
        headers[creation.idempotency_header] = request.token
    content = json.dumps(fill_json(creation.body, values)).encode()
    sent_ns = time.monotonic_ns()
    path = fill(creation.path, texts)
    try:
        response = calls.request(creation.method, path, content, headers)
    except NeverSentError as error:
        return silent(Reception.NEVER_SENT, error.__cause__ or error, sent_ns)
    except (OSError, http.client.HTTPException) as error:
        return silent(Reception.SENT_WITHOUT_ANSWER, error, sent_ns)
    task_id = value_at(response.body, creation.task_id)
    detail = f"{response.status} {response.body.decode(errors='replace')[:_SHOWN]}"
    return _answered(response.status, task_id, detail, sent_ns)


def create_by_sql(
    sql: str, dsn: str, timeout_s: float, request: TaskRequest, delay_ms: int
) -> Reply:
    """Create a task by a statement in a session of its own.

    After `timeout_s` seconds the session is closed. Whether the statement had an effect is then
    unknown.
    """
    sent_ns = time.monotonic_ns()
    try:
        connection = psycopg.connect(dsn, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S)
    except psycopg.Error as error:
        return silent(Reception.NEVER_SENT, error, sent_ns)
    deadline = threading.Timer(timeout_s, connection.pgconn.finish)
    deadline.daemon = True
    deadline.start()
    try:
        with connection:
            cursor = connection.execute(sql.encode(), request_values(request, delay_ms))
            row = cursor.fetchone() if cursor.description else None
    except psycopg.OperationalError as error:
        return silent(Reception.SENT_WITHOUT_ANSWER, error, sent_ns)
    except psycopg.Error as error:
        detail = " ".join(str(error).split())
        if isinstance(error, psycopg.errors.IndeterminateDatatype):
            detail += "; PostgreSQL cannot tell the type of a value: write %(token)s::text"
        return _answered(REFUSED, None, detail, sent_ns)
    finally:
        deadline.cancel()
    task_id = None if row is None or row[0] is None else str(row[0])
    return _answered(ACCEPTED, task_id, "", sent_ns)


def create_by_line(ask: AskLine, request: TaskRequest, delay_ms: int) -> Reply:
    """Create a task, due after `delay_ms`, by a program that answers a line of JSON with another.

    The outcome is unknown if no answer comes or the answer is malformed; nothing is raised then.
    """
    sent_ns = time.monotonic_ns()
    answer = ask(json.dumps(request_values(request, delay_ms)).encode() + b"\n")
    if isinstance(answer, str):
        return silent(Reception.SENT_WITHOUT_ANSWER, answer, sent_ns)
    return read_answer(answer, sent_ns)


def read_answer(line: bytes, sent_ns: int) -> Reply:
    """Return the reply that a producer's line of JSON holds.

    A malformed line leaves the outcome unknown. `sent_ns` is the monotonic time of the request.
    """
    try:
        answer = json.loads(line)
        ok, task_id = answer["ok"], answer.get("id")
        certain, error = answer.get("certain", False), answer.get("error", "")
        if not isinstance(ok, bool) or not isinstance(certain, bool):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError):
        shown = line[:_SHOWN].decode(errors="replace").strip()
        problem = f'the producer answered {shown!r}; it has to be {{"id": "...", "ok": true}}'
        return silent(Reception.SENT_WITHOUT_ANSWER, problem, sent_ns)
    if ok:
        return _answered(ACCEPTED, None if task_id is None else str(task_id), "", sent_ns)
    return _answered(REFUSED if certain else UNCLEAR, None, str(error)[:400], sent_ns)


def _answered(status: int, task_id: str | None, detail: str, sent_ns: int) -> Reply:
    return Reply(
        reception=Reception.ANSWERED,
        status=status,
        task_id=task_id,
        detail=detail or str(status),
        sent_ns=sent_ns,
        ended_ns=time.monotonic_ns(),
    )


def fill_json(body: Json, values: Mapping[str, str | int]) -> Json:
    """Return a JSON value with its placeholders replaced, also in nested values.

    A text that is one placeholder becomes the value with its type; keys are left unchanged.
    """
    if isinstance(body, str):
        if body.startswith("{") and body.endswith("}") and body[1:-1] in values:
            return values[body[1:-1]]
        return fill(body, {name: str(value) for name, value in values.items()})
    if isinstance(body, dict):
        return {key: fill_json(value, values) for key, value in body.items()}
    if isinstance(body, list):
        return [fill_json(value, values) for value in body]
    return body


def value_at(content: bytes, pointer: str | None) -> str | None:
    """Return as text the value that a JSON pointer (RFC 6901) finds in a document.

    Return None without a pointer, for null, and if the document has no such place or is not JSON.
    """
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
