"""The task, and its record in the ledger."""

import json
import os
import time
from pathlib import Path
from typing import Any

from django_q.signals import pre_execute

_running: dict[str, Any] = {}


def _note(task: dict[str, Any], **_: object) -> None:
    """Keep what django-q2 does not tell the function: the id of the task it runs."""
    _running["id"] = task["id"]


# Weak references would lose a function that nobody else holds.
pre_execute.connect(_note, weak=False)


class AskedToFailError(Exception):
    """The payload asks this attempt to fail."""


def probe(*, token: str, duration_ms: int = 0, failures: int = 0) -> None:
    """Work for a while; fail the first so many attempts."""
    path = Path(os.environ["CHAOSFUZZ_LEDGER"])
    # The queue keeps no count while a task is queued; the starts on record are one.
    attempt = _starts(path, token) + 1
    run = {"task": _running["id"], "token": token, "attempt": attempt}
    _record(path, {"event": "start", **run})
    time.sleep(duration_ms / 1000)
    fails = attempt <= failures
    _record(path, {"event": "end", **run, "result": "failed" if fails else "finished"})
    if fails:
        message = f"attempt {attempt} fails as asked"
        raise AskedToFailError(message)


def _starts(path: Path, token: str) -> int:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return 0
    wanted = json.dumps(token).encode()
    return sum(b'"event": "start"' in line and wanted in line for line in lines)


def _record(path: Path, fields: dict[str, object]) -> None:
    """Write a line at once to the end: lines of several processes never mix."""
    line = {
        **fields,
        "component": os.environ.get("CHAOSFUZZ_COMPONENT", "worker-1"),
        "pid": os.getpid(),
        "at_ns": time.monotonic_ns(),
        "at_unix_ns": time.time_ns(),
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, json.dumps(line).encode() + b"\n")
    finally:
        os.close(descriptor)
