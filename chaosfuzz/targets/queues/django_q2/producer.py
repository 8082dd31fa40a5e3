"""Answers creations, one JSON line each, in order; lives on whatever happens to the database."""

import json
import os
import sys
from typing import Any

import django
from django import db

_TASK = "chaosfuzz.targets.queues.django_q2.tasks.probe"
# Attempts have no limit here and come 6 s apart: more would only be waited for.
_MOST_FAILURES = 1
# With its wait in the cluster a task has to end within `retry`, else it is run twice by design.
_LONGEST_MS = 1600


def create(request: dict[str, Any]) -> dict[str, object]:
    """Queue a task; return the answer, certain where nothing can have been stored."""
    from django_q.tasks import async_task

    if request.get("delay_ms"):
        error = "django-q2 queues no task for later: a schedule is looked at twice a minute"
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
    """Say whether the database never had the statement or has refused it."""
    if db.connection.connection is None:
        return True
    state = getattr(error.__cause__, "sqlstate", None)
    # A statement refused is undone; of a session that ended (57P) nobody knows.
    return state is not None and not state.startswith(("57P", "08"))


def main() -> None:
    """Serve until standard input ends."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chaosfuzz.targets.queues.django_q2.settings")
    django.setup()
    # Standard output is for answers alone.
    print("ready", file=sys.stderr, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps({**create(request), "token": request["token"]}), flush=True)


if __name__ == "__main__":
    main()
