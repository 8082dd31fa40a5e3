"""Waits until a component is ready, as its profile's `ready` defines it."""

import http.client
import socket
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from chaosfuzz.targets.components import Process
from chaosfuzz.targets.profiles.model import Readiness

# Both chosen by hand.
_POLL_S = 0.005
_ASK_TIMEOUT_S = 2.0


def not_ready(
    readiness: Readiness,
    process: Process,
    *,
    log: Callable[[], bytes],
    port: int | None,
    dsn: str,
) -> str:
    """Wait until a component is ready; return "", or why it did not become ready in time.

    The end of its process ends the wait too. `log` reads its output; `dsn` is for a query.
    """
    began = time.monotonic()
    deadline = began + readiness.timeout_s
    while not is_ready(readiness, log, port, dsn):
        exit_code = process.wait(_POLL_S)
        if exit_code is not None:
            # The line that means ready may have come just before the end, and does not count.
            waited_s = time.monotonic() - began
            return f"ended with exit code {exit_code} after {waited_s:.1f} s, before it was ready"
        if time.monotonic() > deadline:
            return f"was not ready within {readiness.timeout_s:g} s ({_problem(readiness)})"
    return ""


def log_since(path: Path, from_byte: int) -> bytes:
    """Return a log's content after `from_byte`, empty if the log cannot be read."""
    try:
        with path.open("rb") as stream:
            stream.seek(from_byte)
            return stream.read()
    except OSError:
        return b""


def _problem(readiness: Readiness) -> str:
    if readiness.line is not None:
        return f"no line of its output matches {readiness.line.pattern!r}"
    if readiness.query is not None:
        return f"ready.query did not become true: {readiness.query}"
    if readiness.http is not None:
        return f"GET {readiness.http} did not answer 2xx"
    return "its port accepts no connection"


def is_ready(readiness: Readiness, log: Callable[[], bytes], port: int | None, dsn: str) -> bool:
    """Tell whether a component is ready at present; asks once, for at most 2 s."""
    if readiness.line is not None:
        return readiness.line.search(log().decode(errors="replace")) is not None
    if readiness.query is not None:
        return _is_true(readiness.query, dsn)
    assert port is not None, readiness
    if readiness.http is not None:
        return _answers_2xx(port, readiness.http)
    try:
        socket.create_connection(("127.0.0.1", port), timeout=_ASK_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _answers_2xx(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ASK_TIMEOUT_S)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _is_true(query: str, dsn: str) -> bool:
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=2) as connection:
            row = connection.execute(query.encode()).fetchone()
    except psycopg.Error:
        return False
    return bool(row and row[0])
