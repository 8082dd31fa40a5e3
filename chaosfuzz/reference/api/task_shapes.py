"""What is asked and answered about tasks."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema

from chaosfuzz.reference.api.json_body import has_nul, size_bytes
from chaosfuzz.reference.api.shapes import WITHOUT_NUL, Input, Output, PageQuery
from chaosfuzz.reference.backoff import strategy_problem

MAX_PAYLOAD_BYTES = 1_048_576
MAX_METADATA_BYTES = 65_536
MAX_METADATA_VALUE_BYTES = 4096
Status = Literal["pending", "running", "completed", "failed", "cancelled", "retrying"]
Priority = Literal["low", "normal", "high", "critical"]
TypeName = Annotated[str, Field(min_length=1, max_length=128, pattern="^[A-Za-z0-9_-]+$")]


def _small_enough(payload: object) -> object:
    if size_bytes(payload) > MAX_PAYLOAD_BYTES:
        message = "larger than 1 MB"
        raise ValueError(message)
    return _storable(payload)


def _storable(value: object) -> object:
    if has_nul(value):
        message = "contains a NUL character"
        raise ValueError(message)
    return value


def _time(value: object) -> object:
    if value is None:
        return None
    try:
        when = datetime.fromisoformat(value if isinstance(value, str) else "")
        return when.replace(tzinfo=when.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        message = "must be a time in ISO format, such as 2030-12-31T23:59:59Z"
        raise ValueError(message) from None


def _labels(value: dict[str, Any] | None) -> dict[str, Any] | None:
    if value is None:
        return None
    if any(not 1 <= len(key) <= 128 for key in value):
        message = "a key must have 1 to 128 characters"
        raise ValueError(message)
    sizes = [size_bytes(each) for each in value.values()]
    if max(sizes, default=0) > MAX_METADATA_VALUE_BYTES or size_bytes(value) > MAX_METADATA_BYTES:
        message = "larger than 64 KB, or a value in it than 4 KB"
        raise ValueError(message)
    _storable(value)
    return value


def _strategy(value: dict[str, Any] | None) -> dict[str, Any] | None:
    problem = strategy_problem(value) if value is not None else None
    if problem:
        raise ValueError(problem)
    return value


_MILLISECONDS = {"type": "integer", "minimum": 0, "maximum": 86_400_000}
_STRATEGY_SCHEMA = {
    "type": ["object", "null"],
    "properties": {
        "kind": {"enum": ["exponential", "linear", "fixed", "none"]},
        "base_ms": _MILLISECONDS,
        "cap_ms": _MILLISECONDS,
    },
    "additionalProperties": False,
}
_METADATA_SCHEMA = {
    "type": ["object", "null"],
    "propertyNames": {"minLength": 1, "maxLength": 128},
    "description": "Up to 64 KB as JSON, each value up to 4 KB.",
}


class TaskBody(Input):
    """A task to be run."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"task_type": "email", "payload": {"to": "ada@example.com", "body": "hi"}}]
        }
    )

    task_type: Annotated[TypeName, Field(description="One of the registered types.")]
    payload: Annotated[
        Any, Field(description="What the handler gets; up to 1 MB."), AfterValidator(_small_enough)
    ]
    priority: Priority | None = None
    scheduled_at: Annotated[
        datetime | None,
        BeforeValidator(_time),
        Field(description="Not before then; at most 365 days ahead and 1 hour past."),
    ] = None
    metadata: Annotated[
        dict[str, Any] | None, AfterValidator(_labels), WithJsonSchema(_METADATA_SCHEMA)
    ] = None
    max_attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    retry_strategy: Annotated[
        dict[str, Any] | None, AfterValidator(_strategy), WithJsonSchema(_STRATEGY_SCHEMA)
    ] = None


class CreationHeaders(Input):
    """Headers of a creation."""

    idempotency_key: Annotated[
        str,
        Field(
            alias="Idempotency-Key",
            min_length=1,
            max_length=255,
            pattern="^[!-~]+$",
            description="The same key again is the same task.",
        ),
    ] = ""


class TaskQuery(PageQuery):
    """Which tasks, and which part of the list."""

    task_type: TypeName | None = None
    status: Status | None = None
    priority: Priority | None = None

    def conditions(self) -> dict[str, str]:
        """The conditions by column."""
        wanted = {"task_type": self.task_type, "status": self.status, "priority": self.priority}
        return {name: value for name, value in wanted.items() if value is not None}


class TypeBody(Input):
    """A task type and what it is for."""

    task_type: TypeName
    description: Annotated[str, Field(max_length=4096, pattern=WITHOUT_NUL)] = ""


class Task(Output):
    """A task; its payload is the worker's alone."""

    id: UUID
    task_type: str
    status: Status
    priority: Priority
    max_attempts: int
    current_attempt: int
    last_error: str | None
    created_at: datetime
    updated_at: datetime
    scheduled_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    created_by: UUID | None
    metadata: dict[str, Any] | None


class TaskId(Output):
    """Which task it was."""

    id: UUID


class TaskStats(Output):
    """How many tasks there are in each status."""

    total: int
    pending: int
    running: int
    completed: int
    failed: int
    cancelled: int
    retrying: int


class TaskType(Output):
    """A registered task type."""

    task_type: str
    description: str
