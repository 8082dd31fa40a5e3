"""The HTTP client that plays the system's users."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from chaosfuzz.domain.action import PRIORITIES, RETRY_STRATEGIES
from chaosfuzz.domain.history import Health
from chaosfuzz.domain.outcome import Reception, Reply
from chaosfuzz.domain.task import TaskRequest

RETRY_BASE_MS = 50


class ApiClient:
    """Speaks the task API of one server; every request has a deadline and is never retried."""

    def __init__(self, port: int, timeout_ms: int) -> None:
        # A connection per request: one kept alive over a restart would blur what was sent.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            timeout=timeout_ms / 1000,
            limits=limits,
            trust_env=False,
        )

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

    def health(self) -> Health:
        """Ask for health."""
        try:
            response = self._client.get("/api/v1/health")
        except httpx.TimeoutException:
            return Health.TIMED_OUT
        except httpx.TransportError:
            return Health.UNREACHABLE
        return Health.WELL if response.status_code == 200 else Health.UNWELL

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _post(self, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> Reply:
        sent_ns = time.monotonic_ns()
        try:
            response = self._client.post(path, json=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return _silent(Reception.NEVER_SENT, error, sent_ns)
        except httpx.TransportError as error:
            return _silent(Reception.SENT_WITHOUT_ANSWER, error, sent_ns)
        return Reply(
            reception=Reception.ANSWERED,
            status=response.status_code,
            task_id=_task_id(response),
            detail=f"{response.status_code} {response.text[:160]}",
            sent_ns=sent_ns,
            ended_ns=time.monotonic_ns(),
        )


def _silent(reception: Reception, error: Exception, sent_ns: int) -> Reply:
    return Reply(
        reception=reception,
        detail=f"{type(error).__name__}: {error}",
        sent_ns=sent_ns,
        ended_ns=time.monotonic_ns(),
    )


def _task_id(response: httpx.Response) -> str | None:
    if response.status_code != 200:
        return None
    data = response.json().get("data")
    found = data.get("id") if isinstance(data, dict) else None
    return str(found) if found else None
