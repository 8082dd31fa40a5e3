"""Waits until a component says, in the way its profile names, that it is ready."""

import http.client
import socket
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from chaosfuzz.targets.components import Process
from chaosfuzz.targets.profiles.model import Readiness

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
    """Wait; return an empty string once it is ready, or else why it is not."""
    deadline = time.monotonic() + readiness.timeout_s
    began = time.monotonic()
    while not is_ready(readiness, log, port, dsn):
        # The wait ends at once if the process does.
        exit_code = process.wait(_POLL_S)
        if exit_code is not None:
            # Its last words may be the ones that were waited for, and it is gone all the same.
            waited_s = time.monotonic() - began
            return f"ended with exit code {exit_code} after {waited_s:.1f} s, before it was ready"
        if time.monotonic() > deadline:
            return f"was not ready within {readiness.timeout_s:g} s ({_told(readiness)})"
    return ""


def log_since(path: Path, from_byte: int) -> bytes:
    """Return what a log holds after a byte; nothing if there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(from_byte)
            return stream.read()
    except OSError:
        return b""


def _told(readiness: Readiness) -> str:
    if readiness.line is not None:
        return f"no line of its output matches {readiness.line.pattern!r}"
    if readiness.query is not None:
        return f"ready.query did not become true: {readiness.query}"
    return f"no answer to {readiness.http}" if readiness.http else "its port does not accept"


def is_ready(readiness: Readiness, log: Callable[[], bytes], port: int | None, dsn: str) -> bool:
    """Ask once whether a component is ready."""
    if readiness.line is not None:
        return readiness.line.search(log().decode(errors="replace")) is not None
    if readiness.query is not None:
        return _says_true(readiness.query, dsn)
    assert port is not None, readiness
    if readiness.http is not None:
        return _answers(port, readiness.http)
    try:
        socket.create_connection(("127.0.0.1", port), timeout=_ASK_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ASK_TIMEOUT_S)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _says_true(query: str, dsn: str) -> bool:
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=2) as connection:
            row = connection.execute(query.encode()).fetchone()
    except psycopg.Error:
        return False
    return bool(row and row[0])
