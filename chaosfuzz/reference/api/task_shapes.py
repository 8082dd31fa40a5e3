"""Inputs and outputs of the operations on tasks and task types."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema

from chaosfuzz.reference.api.json_body import has_nul, size_bytes
from chaosfuzz.reference.api.shapes import WITHOUT_NUL, Input, Output, PageQuery
from chaosfuzz.reference.backoff import OPTIONS, STRATEGIES, strategy_problem
from chaosfuzz.reference.queue import Priority, Status
from chaosfuzz.reference.settings import DAY_MS

# All three chosen by hand.
MAX_PAYLOAD_BYTES = 1_048_576
MAX_METADATA_BYTES = 65_536
MAX_METADATA_VALUE_BYTES = 4096
TypeName = Annotated[str, Field(min_length=1, max_length=128, pattern="^[A-Za-z0-9_-]+$")]


def _checked_payload(payload: object) -> object:
    if size_bytes(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError("larger than 1 MB")
    return _storable(payload)


def _storable(value: object) -> object:
    if has_nul(value):
        raise ValueError("contains a NUL character")
    return value


def _in_utc(value: object) -> object:
    if value is None:
        return None
    try:
        when = datetime.fromisoformat(value if isinstance(value, str) else "")
        return when.replace(tzinfo=when.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time in ISO format, such as 2030-12-31T23:59:59Z") from None


def _checked_metadata(value: dict[str, Any] | None) -> dict[str, Any] | None:
    if value is None:
        return None
    if any(not 1 <= len(key) <= 128 for key in value):
        raise ValueError("a key must have 1 to 128 characters")
    sizes = [size_bytes(each) for each in value.values()]
    if max(sizes, default=0) > MAX_METADATA_VALUE_BYTES or size_bytes(value) > MAX_METADATA_BYTES:
        raise ValueError("larger than 64 KB, or a value in it larger than 4 KB")
    _storable(value)
    return value


def _checked_strategy(value: dict[str, Any] | None) -> dict[str, Any] | None:
    problem = strategy_problem(value) if value is not None else None
    if problem:
        raise ValueError(problem)
    return value


_MILLISECONDS = {"type": "integer", "minimum": 0, "maximum": DAY_MS}
_STRATEGY_SCHEMA = {
    "type": ["object", "null"],
    "properties": {
        "kind": {"enum": list(STRATEGIES)},
        **dict.fromkeys(OPTIONS, _MILLISECONDS),
    },
    "additionalProperties": False,
}
_METADATA_SCHEMA = {
    "type": ["object", "null"],
    "propertyNames": {"minLength": 1, "maxLength": 128},
    "description": "Up to 64 KB as JSON, each value up to 4 KB.",
}


class TaskBody(Input):
    """A task that a client wants to be run."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"task_type": "email", "payload": {"to": "ada@example.com", "body": "hi"}}]
        }
    )

    task_type: Annotated[TypeName, Field(description="One of the registered types.")]
    payload: Annotated[
        Any, Field(description="The handler's input; up to 1 MB."), AfterValidator(_checked_payload)
    ]
    priority: Priority | None = None
    scheduled_at: Annotated[
        datetime | None,
        BeforeValidator(_in_utc),
        Field(description="The task does not run earlier; at most 365 days ahead and 1 hour past."),
    ] = None
    metadata: Annotated[
        dict[str, Any] | None, AfterValidator(_checked_metadata), WithJsonSchema(_METADATA_SCHEMA)
    ] = None
    max_attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    retry_strategy: Annotated[
        dict[str, Any] | None, AfterValidator(_checked_strategy), WithJsonSchema(_STRATEGY_SCHEMA)
    ] = None


class CreationHeaders(Input):
    """Headers of the creation of a task."""

    idempotency_key: Annotated[
        str,
        Field(
            alias="Idempotency-Key",
            min_length=1,
            max_length=255,
            pattern="^[!-~]+$",
            description="A repeated key returns the task that was created with it.",
        ),
    ] = ""


class TaskQuery(PageQuery):
    """The tasks that a client wants, and which part of their list."""

    task_type: TypeName | None = None
    status: Status | None = None
    priority: Priority | None = None


class TypeBody(Input):
    """A task type and its description."""

    task_type: TypeName
    description: Annotated[str, Field(max_length=4096, pattern=WITHOUT_NUL)] = ""


class Task(Output):
    """A task, without its payload."""

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
    """The id of a task that was deleted."""

    id: UUID


class TaskStats(Output):
    """The number of tasks in each status."""

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
