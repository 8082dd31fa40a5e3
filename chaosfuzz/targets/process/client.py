"""The HTTP client that plays the system's users."""

import http.client
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from chaosfuzz.domain.action import PRIORITIES, RETRY_STRATEGIES, TASK_TYPES
from chaosfuzz.domain.history import InquiryKind
from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.outcome import Reception, Reply
from chaosfuzz.domain.task import TaskRequest
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.components import ServerPlace
from chaosfuzz.targets.http_calls import HealthInquiry, HttpCalls, NeverSentError, silent
from chaosfuzz.targets.process.users import Users

RETRY_BASE_MS = 50
_LISTS = {
    InquiryKind.TASKS: "/api/v1/tasks",
    InquiryKind.DEAD_LETTERS: "/api/v1/tasks/dead-letter",
}
# Well-formed, so that it is the database that has to say no.
_NONSENSE = {"task_type": "nobody-handles-this", "payload": {}}


class ApiClient:
    """Speaks the task API of one server; see HttpCalls."""

    def __init__(
        self,
        port: int,
        timeout_ms: int,
        users: Users,
        has_refused: Callable[[int], bool] = lambda _port: False,
        host: str = "127.0.0.1",
    ) -> None:
        self._users = users
        self._calls = HttpCalls(port, timeout_ms / 1000, has_refused, host)

    def move(self, place: ServerPlace) -> None:
        """Speak to a server at another place from now on."""
        self._calls.move(place.host, place.number)

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        """Create a task; its token is the idempotency key."""
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
        return self._post("/api/v1/tasks", body, headers)

    def cancel(self, task_id: str, user: int) -> Reply:
        """Cancel a task of a user's."""
        return self._post(f"/api/v1/tasks/{task_id}/cancel", None, self._as(user))

    def retry(self, task_id: str, user: int) -> Reply:
        """Retry a task of a user's."""
        return self._post(f"/api/v1/tasks/{task_id}/retry", None, self._as(user))

    def ask(self, path: str) -> Reply:
        """GET a path as the first user."""
        return self._send("GET", path, None, self._as(0))

    def ask_health(self) -> HealthInquiry:
        """Send the question after health; the answer is read later."""
        return HealthInquiry(self._calls.connection(), "/api/v1/health")

    def inquire(self, kind: InquiryKind, user: int, limit: int) -> Reply:
        """Ask for tasks or dead letters as a user, for stats as a moderator, or for nonsense."""
        if kind is InquiryKind.NONSENSE:
            return self._post("/api/v1/tasks", _NONSENSE, self._as(user))
        if kind is InquiryKind.STATS:
            headers = {"Authorization": f"Bearer {self._users.moderator}"}
            return self._send("GET", "/api/v1/tasks/stats", None, headers)
        return self._send("GET", f"{_LISTS[kind]}?limit={limit}", None, self._as(user))

    def _as(self, user: int) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._users.tokens[user]}"}

    def _post(self, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> Reply:
        return self._send("POST", path, body, headers)

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


class Clients:
    """The client whose requests go through the wire, if there is one, and the harness's own.

    No fault at a client's request touches what the harness asks.
    """

    def __init__(
        self, wire: Wire | None, place: ServerPlace, timeout_ms: int, users: Users
    ) -> None:
        self._wire = wire
        self.harness = ApiClient(place.number, timeout_ms, users, host=place.host)
        if wire is None:
            self.user = self.harness
            return
        way = wire.route_http(CLIENT, place.number, place.host)
        refused = partial(wire.has_refused, CLIENT)
        self.user = ApiClient(way, timeout_ms, users, refused, host=wire.host)

    def move(self, place: ServerPlace) -> None:
        """Speak to a server at another place from now on."""
        self.harness.move(place)
        if self._wire is not None:
            self._wire.route_http(CLIENT, place.number, place.host)


def _task_id(data: object) -> str | None:
    found = data.get("id") if isinstance(data, dict) else None
    return str(found) if found else None
