"""The handler of a task, which writes to the ledger."""

import json
import os
import time
from pathlib import Path
from typing import Any

from django_q.signals import pre_execute

from chaosfuzz.targets.queues.ledger_lines import record

_running: dict[str, Any] = {}


def _note(task: dict[str, Any], **_: object) -> None:
    """Store the id of the task that runs next, which django-q2 does not pass to the function."""
    _running["id"] = task["id"]


# Django keeps weak references to handlers by default.
pre_execute.connect(_note, weak=False)


class AskedToFailError(Exception):
    """The payload asks this attempt to fail."""


def probe(*, token: str, duration_ms: int = 0, failures: int = 0) -> None:
    """Sleep for `duration_ms`; raise AskedToFailError in the first `failures` attempts."""
    # The queue keeps no count of attempts while a task is queued, so the ledger's starts are it.
    attempt = _starts(Path(os.environ["CHAOSFUZZ_LEDGER"]), token) + 1
    run = {"task": _running["id"], "token": token, "attempt": attempt}
    record(event="start", **run)
    time.sleep(duration_ms / 1000)
    fails = attempt <= failures
    record(event="end", **run, result="failed" if fails else "finished")
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
