"""The HTTP client that creates, cancels, retries and reads tasks as the system's users."""

import http.client
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from chaosfuzz.domain.action import PRIORITIES, RETRY_STRATEGIES, TASK_TYPES
from chaosfuzz.domain.history import Health, InquiryKind
from chaosfuzz.domain.outcome import Reception, Reply
from chaosfuzz.domain.task import TaskRequest
from chaosfuzz.targets.http_calls import HttpCalls, NeverSentError, ask_health, silent
from chaosfuzz.targets.process.users import Users

# The backoff of tasks before their second attempt. Chosen by hand, so that schedules are short.
RETRY_BASE_MS = 50
_LISTS = {
    InquiryKind.TASKS: "/api/v1/tasks",
    InquiryKind.DEAD_LETTERS: "/api/v1/tasks/dead-letter",
}
# Well-formed JSON, so that only the database can refuse it.
_NONSENSE = {"task_type": "nobody-handles-this", "payload": {}}


class ApiClient:
    """Speaks the task API of one server; never raises for a server that does not answer.

    A user is an index of `users.tokens`.
    """

    def __init__(self, calls: HttpCalls, users: Users) -> None:
        self._calls = calls
        self._users = users

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        """Create a task with its token as idempotency key.

        `due_ns`, in nanoseconds of time.monotonic_ns(), is when a task with a delay becomes due.
        """
        body: dict[str, Any] = {
            "task_type": TASK_TYPES[request.task_type],
            "payload": {
                "duration_ms": request.duration_ms,
                "failures": request.failures,
                "token": request.token,
            },
            "priority": PRIORITIES[request.priority],
            "max_attempts": request.max_attempts,
            "retry_strategy": {
                "kind": RETRY_STRATEGIES[request.strategy],
                "base_ms": RETRY_BASE_MS,
            },
        }
        if request.tag:
            body["metadata"] = {"tag": request.tag}
        if request.delay_ms:
            left = timedelta(microseconds=(due_ns - time.monotonic_ns()) // 1000)
            body["scheduled_at"] = (datetime.now(UTC) + left).isoformat()
        headers = {"Idempotency-Key": request.token, **self._as(request.user)}
        return self._send("POST", "/api/v1/tasks", body, headers)

    def cancel(self, task_id: str, user: int) -> Reply:
        """Cancel a task as a user."""
        return self._send("POST", f"/api/v1/tasks/{task_id}/cancel", None, self._as(user))

    def retry(self, task_id: str, user: int) -> Reply:
        """Retry a task as a user."""
        return self._send("POST", f"/api/v1/tasks/{task_id}/retry", None, self._as(user))

    def ask(self, path: str) -> Reply:
        """GET a path as the first user."""
        return self._send("GET", path, None, self._as(0))

    def ask_health(self) -> Callable[[], Health]:
        """GET the health; the returned function waits for the answer."""
        return ask_health(self._calls.connection(), "/api/v1/health")

    def inquire(self, kind: InquiryKind, user: int, limit: int) -> Reply:
        """List tasks or dead letters as a user, or ask for stats as the moderator.

        NONSENSE creates a task of an unknown type. At most `limit` tasks are listed.
        """
        if kind is InquiryKind.NONSENSE:
            return self._send("POST", "/api/v1/tasks", _NONSENSE, self._as(user))
        if kind is InquiryKind.STATS:
            headers = {"Authorization": f"Bearer {self._users.moderator}"}
            return self._send("GET", "/api/v1/tasks/stats", None, headers)
        return self._send("GET", f"{_LISTS[kind]}?limit={limit}", None, self._as(user))

    def _as(self, user: int) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._users.tokens[user]}"}

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> Reply:
        sent_ns = time.monotonic_ns()
        content = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        try:
            response = self._calls.request(method, path, content, {**kind, **headers})
        except NeverSentError as error:
            return silent(Reception.NEVER_SENT, error.__cause__ or error, sent_ns)
        except (OSError, http.client.HTTPException) as error:
            return silent(Reception.SENT_WITHOUT_ANSWER, error, sent_ns)
        data = json.loads(response.body).get("data") if response.status == 200 else None
        return Reply(
            reception=Reception.ANSWERED,
            status=response.status,
            task_id=_task_id(data),
            listed=tuple(filter(None, map(_task_id, data))) if isinstance(data, list) else (),
            total=data.get("total") if isinstance(data, dict) else None,
            detail=f"{response.status} {response.body.decode(errors='replace')[:160]}",
            sent_ns=sent_ns,
            ended_ns=time.monotonic_ns(),
        )


def _task_id(data: object) -> str | None:
    found = data.get("id") if isinstance(data, dict) else None
    return str(found) if found else None
