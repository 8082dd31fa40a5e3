"""Creates a task for each JSON line on standard input, and survives outages of the database."""

import json
import os
import sys
from typing import Any

import django
from django import db

_TASK = "chaosfuzz.targets.queues.django_q2.tasks.probe"
# Retries come 6 s apart, so more failures would only lengthen a run.
_MOST_FAILURES = 1
# A task that has not ended within `retry` (6 s), its wait in the cluster included, runs twice by
# design.
_LONGEST_MS = 1600


def create(request: dict[str, Any]) -> dict[str, object]:
    """Queue a task and return the answer; `certain` means that nothing was stored."""
    from django_q.tasks import async_task

    if request.get("delay_ms"):
        error = "delays are not supported: django-q2 looks at its schedule only twice a minute"
        return {"ok": False, "error": error, "certain": True}
    try:
        task_id = async_task(
            _TASK,
            token=request["token"],
            duration_ms=min(request.get("duration_ms", 0), _LONGEST_MS),
            failures=min(request.get("failures", 0), _MOST_FAILURES),
            task_name=request["token"],
        )
    except db.Error as error:
        answer = {"ok": False, "error": str(error).strip(), "certain": _is_certain(error)}
        db.connections.close_all()
        return answer
    return {"ok": True, "id": task_id}


def _is_certain(error: db.Error) -> bool:
    """Tell whether the database surely did not commit: it was not reached, or it refused."""
    if db.connection.connection is None:
        return True
    state = getattr(error.__cause__, "sqlstate", None)
    # PostgreSQL rolls a refused statement back. If the session ended (57P), it may have committed.
    return state is not None and not state.startswith(("57P", "08"))


def main() -> None:
    """Answer each line until standard input ends."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chaosfuzz.targets.queues.django_q2.settings")
    django.setup()
    # Standard output is reserved for answers.
    print("ready", file=sys.stderr, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps({**create(request), "token": request["token"]}), flush=True)


if __name__ == "__main__":
    main()
