"""The HTTP client that plays the system's users."""

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chaosfuzz.domain.action import PRIORITIES, RETRY_STRATEGIES
from chaosfuzz.domain.history import Health
from chaosfuzz.domain.outcome import Reception, Reply
from chaosfuzz.domain.task import TaskRequest

RETRY_BASE_MS = 50


@dataclass(frozen=True, kw_only=True)
class _Response:
    status: int
    body: bytes


class _NeverSentError(Exception):
    """No connection, so no request."""


class ApiClient:
    """Speaks the task API of one server; every request has a deadline and is never retried.

    Each has a connection of its own: one kept alive over a restart would blur what was sent.
    `has_refused` tells, by the client's port, that a connection which was made led nowhere: a
    proxy accepts before it knows whether the server does.
    """

    def __init__(
        self, port: int, timeout_ms: int, has_refused: Callable[[int], bool] = lambda _port: False
    ) -> None:
        self._port = port
        self._timeout_s = timeout_ms / 1000
        self._has_refused = has_refused

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        """Create a task; its token is the idempotency key."""
        body: dict[str, Any] = {
            "task_type": "probe",
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
        if request.delay_ms:
            left = timedelta(microseconds=(due_ns - time.monotonic_ns()) // 1000)
            body["scheduled_at"] = (datetime.now(UTC) + left).isoformat()
        return self._post("/api/v1/tasks", body, {"Idempotency-Key": request.token})

    def cancel(self, task_id: str) -> Reply:
        """Cancel a task."""
        return self._post(f"/api/v1/tasks/{task_id}/cancel", None, {})

    def retry(self, task_id: str) -> Reply:
        """Retry a task."""
        return self._post(f"/api/v1/tasks/{task_id}/retry", None, {})

    def ask_health(self) -> "HealthInquiry":
        """Send the question after health; the answer is read later."""
        return HealthInquiry(self._connection())

    def _post(self, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> Reply:
        sent_ns = time.monotonic_ns()
        try:
            response = self._request("POST", path, body, headers)
        except _NeverSentError as error:
            return _silent(Reception.NEVER_SENT, error.__cause__ or error, sent_ns)
        except (OSError, http.client.HTTPException) as error:
            return _silent(Reception.SENT_WITHOUT_ANSWER, error, sent_ns)
        return Reply(
            reception=Reception.ANSWERED,
            status=response.status,
            task_id=_task_id(response),
            detail=f"{response.status} {response.body.decode(errors='replace')[:160]}",
            sent_ns=sent_ns,
            ended_ns=time.monotonic_ns(),
        )

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None, headers: Mapping[str, str]
    ) -> _Response:
        connection = self._connection()
        try:
            try:
                connection.connect()
            except OSError as error:
                raise _NeverSentError from error
            client_port = connection.sock.getsockname()[1]
            content = None if body is None else json.dumps(body).encode()
            kind = {} if body is None else {"Content-Type": "application/json"}
            try:
                connection.request(
                    method, path, content, {**kind, **headers, "Connection": "close"}
                )
                response = connection.getresponse()
                return _Response(status=response.status, body=response.read())
            except ConnectionError as error:
                if self._has_refused(client_port):
                    raise _NeverSentError from error
                raise
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        # Plain sockets: httpx takes 3 ms a request where this takes 1, 30 times a schedule.
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout_s)


class HealthInquiry:
    """A question after health under way; what else is to be read can be read meanwhile."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self._failed: Exception | None = None
        try:
            connection.connect()
            connection.request("GET", "/api/v1/health", headers={"Connection": "close"})
        except (OSError, http.client.HTTPException) as error:
            self._failed = error

    def answer(self) -> Health:
        """Wait for the answer, up to the deadline of a request."""
        try:
            if self._failed is not None:
                raise self._failed
            response = self._connection.getresponse()
            response.read()
        except TimeoutError:
            return Health.TIMED_OUT
        except (OSError, http.client.HTTPException):
            return Health.UNREACHABLE
        finally:
            self._connection.close()
        return Health.WELL if response.status == 200 else Health.UNWELL


def _silent(reception: Reception, error: BaseException, sent_ns: int) -> Reply:
    return Reply(
        reception=reception,
        detail=f"{type(error).__name__}: {error}",
        sent_ns=sent_ns,
        ended_ns=time.monotonic_ns(),
    )


def _task_id(response: _Response) -> str | None:
    if response.status != 200:
        return None
    data = json.loads(response.body).get("data")
    found = data.get("id") if isinstance(data, dict) else None
    return str(found) if found else None
