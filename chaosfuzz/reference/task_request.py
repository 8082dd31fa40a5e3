"""Reading and checking what a client asks for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from starlette.requests import Request

from chaosfuzz.reference.backoff import strategy_problem
from chaosfuzz.reference.envelope import ApiError, invalid
from chaosfuzz.reference.json_body import read_object, size_bytes

STATUSES = ("pending", "running", "completed", "failed", "cancelled", "retrying")
PRIORITIES = ("low", "normal", "high", "critical")
MAX_PAYLOAD_BYTES = 1_048_576
MAX_METADATA_BYTES = 65_536
MAX_METADATA_VALUE_BYTES = 4096
MAX_KEY_LENGTH = 255
_TYPE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TASK_ID = re.compile(r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


@dataclass(frozen=True, kw_only=True)
class NewTask:
    """A task as a client wants it."""

    task_type: str
    payload: Any
    priority: str
    scheduled_at: datetime | None
    metadata: dict[str, Any] | None
    max_attempts: int | None
    retry_strategy: dict[str, Any]
    idempotency_key: str | None


async def read_new_task(request: Request) -> NewTask:
    """Read and check the body of a create."""
    body = await read_object(request)
    if "payload" not in body:
        message = "payload is missing"
        raise invalid(message)
    if size_bytes(body["payload"]) > MAX_PAYLOAD_BYTES:
        message = "payload is larger than 1 MB"
        raise invalid(message)
    key = request.headers.get("idempotency-key") or None
    if key is not None and len(key) > MAX_KEY_LENGTH:
        message = "the idempotency key is too long"
        raise invalid(message)
    return NewTask(
        task_type=type_name(body.get("task_type")),
        payload=body["payload"],
        priority=_priority(body.get("priority")),
        scheduled_at=_time(body.get("scheduled_at")),
        metadata=_metadata(body.get("metadata")),
        max_attempts=_attempts(body.get("max_attempts")),
        retry_strategy=_strategy(body.get("retry_strategy")),
        idempotency_key=key,
    )


def type_name(value: object) -> str:
    """The name of a task type, checked."""
    if not isinstance(value, str) or not _TYPE_NAME.fullmatch(value):
        message = "the task type must be 1 to 128 letters, digits, underscores and dashes"
        raise invalid(message)
    return value


def task_id(request: Request) -> str:
    """The id in the path."""
    text = request.path_params["task_id"]
    if not _TASK_ID.fullmatch(text):
        raise ApiError(400, "INVALID_INPUT", "the id must be a UUID")
    return str(UUID(text))


def filters(query: Mapping[str, str]) -> dict[str, str]:
    """The conditions of a listing."""
    found: dict[str, str] = {}
    if query.get("task_type"):
        found["task_type"] = type_name(query["task_type"])
    if query.get("status"):
        found["status"] = _one_of("status", query["status"], STATUSES)
    if query.get("priority"):
        found["priority"] = _one_of("priority", query["priority"], PRIORITIES)
    return found


def page(query: Mapping[str, str]) -> tuple[int, int]:
    """Limit and offset of a listing."""
    return _count(query, "limit", 50, 1000), _count(query, "offset", 0, 1_000_000_000)


def _count(query: Mapping[str, str], name: str, default: int, limit: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        message = f"{name} must be a whole number"
        raise invalid(message)
    return min(int(text), limit)


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        message = f"{name} must be one of {', '.join(allowed)}"
        raise invalid(message)
    return value


def _priority(value: object) -> str:
    return "normal" if value is None else _one_of("priority", value, PRIORITIES)


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        when = datetime.fromisoformat(value if isinstance(value, str) else "")
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return when.astimezone(UTC)
    except (ValueError, OverflowError):
        message = "scheduled_at must be a time in ISO format"
        raise invalid(message) from None


def _metadata(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        message = "metadata must be an object"
        raise invalid(message)
    if any(not 1 <= len(key) <= 128 for key in value):
        message = "a metadata key must have 1 to 128 characters"
        raise invalid(message)
    sizes = [size_bytes(each) for each in value.values()]
    if max(sizes, default=0) > MAX_METADATA_VALUE_BYTES or size_bytes(value) > MAX_METADATA_BYTES:
        message = "metadata is larger than 64 KB, or a value in it than 4 KB"
        raise invalid(message)
    return value


def _attempts(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100:
        message = "max_attempts must be a whole number from 1 to 100"
        raise invalid(message)
    return value


def _strategy(value: object) -> dict[str, Any]:
    if value is None:
        return {"kind": "exponential"}
    if not isinstance(value, dict):
        message = "retry_strategy must be an object"
        raise invalid(message)
    problem = strategy_problem(value)
    if problem:
        raise invalid(problem)
    return value
