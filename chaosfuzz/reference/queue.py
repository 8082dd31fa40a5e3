"""What clients may do with tasks, each as one operation on a connection.

`owner` is the user whose tasks there are for the caller, None for all of them: SQL alone decides
by it, so that nothing is paged before it is filtered.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import errors
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from chaosfuzz.reference.api_error import invalid
from chaosfuzz.reference.database import Connection
from chaosfuzz.reference.settings import Settings

COLUMNS = (
    "id, task_type, status, priority, max_attempts, current_attempt, last_error, created_at,"
    " updated_at, scheduled_at, started_at, completed_at, created_by, metadata"
)
MAX_AHEAD = timedelta(days=365)
MAX_PAST = timedelta(hours=1)
CREATE_TRIES = 3

STATUSES = ("pending", "running", "completed", "failed", "cancelled", "retrying")
PRIORITIES = ("low", "normal", "high", "critical")

_INSERT_DUE = f"""
INSERT INTO tasks (id, task_type, payload, priority, scheduled_at, ready_at, metadata,
    max_attempts, retry_strategy, created_by, idempotency_key)
VALUES (COALESCE(%(id)s::uuid, gen_random_uuid()), %(task_type)s, %(payload)s, %(priority)s,
    %(scheduled_at)s, {{due}}, %(metadata)s,
    %(max_attempts)s, %(retry_strategy)s, %(owner)s, %(idempotency_key)s)
ON CONFLICT (created_by, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING {COLUMNS}
"""
_INSERT = _INSERT_DUE.format(due="GREATEST(%(scheduled_at)s, clock_timestamp())")
_INSERT_BY_OWN_CLOCK = _INSERT_DUE.format(
    due="clock_timestamp() + GREATEST(%(scheduled_at)s - %(own_now)s, interval '0')"
)


@dataclass(frozen=True, kw_only=True)
class NewTask:
    """A task as its owner wants it."""

    task_type: str
    payload: Any
    priority: str
    scheduled_at: datetime | None
    metadata: dict[str, Any] | None
    max_attempts: int | None
    retry_strategy: dict[str, Any]
    idempotency_key: str | None
    owner: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """A part of a list."""

    limit: int
    offset: int = 0


async def check_new(connection: Connection, task: NewTask) -> None:
    """Check what only the database knows: its task types and its time."""
    cursor = await connection.execute(
        "SELECT clock_timestamp() AS now, EXISTS (SELECT FROM task_types WHERE name = %s) AS known",
        (task.task_type,),
    )
    row = await cursor.fetchone()
    if row is None or not row["known"]:
        message = f"the task type {task.task_type} is not registered"
        raise invalid(message)
    if task.scheduled_at is not None:
        ahead = task.scheduled_at - row["now"]
        if not -MAX_PAST <= ahead <= MAX_AHEAD:
            message = "scheduled_at must be at most 365 days ahead and 1 hour past"
            raise invalid(message)


async def create(
    connection: Connection, task: NewTask, settings: Settings, new_id: str | None = None
) -> DictRow:
    """Insert the task, or return the one that has its idempotency key already."""
    await check_new(connection, task)
    # DEFECT create-not-idempotent: the key is neither kept nor looked for.
    key = None if settings.has("create-not-idempotent") else task.idempotency_key
    parameters = {
        "id": new_id,
        "task_type": task.task_type,
        "payload": Jsonb(task.payload),
        "priority": task.priority,
        "scheduled_at": task.scheduled_at,
        "metadata": None if task.metadata is None else Jsonb(task.metadata),
        "max_attempts": task.max_attempts or settings.max_attempts,
        "retry_strategy": Jsonb(task.retry_strategy),
        "owner": task.owner,
        "idempotency_key": key,
    }
    insert = _INSERT
    # DEFECT clock-of-api-for-schedules: how long the task waits is taken from another clock.
    if settings.has("clock-of-api-for-schedules"):
        insert = _INSERT_BY_OWN_CLOCK
        skew = timedelta(milliseconds=settings.clock_skew_ms)
        parameters["own_now"] = datetime.now(UTC) + skew
    # The task that has the key may be deleted between the insert and the look.
    for _ in range(CREATE_TRIES):
        row = await _one(connection, insert, parameters)
        if row is None:
            known = (
                f"SELECT {COLUMNS} FROM tasks WHERE created_by = %(owner)s"
                " AND idempotency_key = %(idempotency_key)s"
            )
            row = await _one(connection, known, parameters)
        if row is not None:
            return row
    message = "the task with this idempotency key is being deleted"
    raise errors.LockNotAvailable(message)


async def get(connection: Connection, task_id: str, owner: str | None) -> DictRow | None:
    """One task."""
    statement = f"SELECT {COLUMNS} FROM tasks WHERE id = %(id)s{_owned(owner)}"
    return await _one(connection, statement, {"id": task_id, "owner": owner})


async def list_tasks(
    connection: Connection, conditions: dict[str, str], page: Page, owner: str | None
) -> list[DictRow]:
    """Tasks, newest first; a condition's name is a column's name."""
    where = " AND ".join(f"{name}::text = %({name})s" for name in conditions) or "true"
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM tasks WHERE {where}{_owned(owner)}"
        " ORDER BY created_at DESC, id LIMIT %(limit)s OFFSET %(offset)s",
        {**conditions, "limit": page.limit, "offset": page.offset, "owner": owner},
    )
    return await cursor.fetchall()


async def stats(connection: Connection, tag: str | None = None) -> dict[str, int]:
    """How many tasks there are in each status, all of them or those with metadata.tag."""
    cursor = await connection.execute(
        "SELECT status, count(*) AS number FROM tasks"
        " WHERE %(tag)s::text IS NULL OR metadata ->> 'tag' = %(tag)s GROUP BY status",
        {"tag": tag},
    )
    numbers = {row["status"]: row["number"] for row in await cursor.fetchall()}
    return {"total": sum(numbers.values()), **{each: numbers.get(each, 0) for each in STATUSES}}


async def cancel(
    connection: Connection, task_id: str, owner: str | None, settings: Settings
) -> DictRow | None:
    """Cancel a task that has not ended; None if it has.

    A worker that runs it learns so from its next heartbeat and stops; its result is refused.
    """
    # DEFECT cancel-ignores-running: only what waits is looked for.
    ignored = settings.has("cancel-ignores-running")
    open_statuses = "'pending', 'retrying'" if ignored else "'pending', 'retrying', 'running'"
    return await _one(
        connection,
        "UPDATE tasks SET status = 'cancelled', completed_at = clock_timestamp(),"
        " locked_by = NULL, lease_until = NULL, updated_at = clock_timestamp()"
        f" WHERE id = %(id)s AND status IN ({open_statuses}){_owned(owner)} RETURNING {COLUMNS}",
        {"id": task_id, "owner": owner},
    )


async def retry(connection: Connection, task_id: str, owner: str | None) -> DictRow | None:
    """Queue a failed task anew; None if it has not failed."""
    return await _one(
        connection,
        "UPDATE tasks SET status = 'pending', current_attempt = 0, last_error = NULL,"
        " completed_at = NULL, ready_at = clock_timestamp(), updated_at = clock_timestamp()"
        f" WHERE id = %(id)s AND status = 'failed'{_owned(owner)} RETURNING {COLUMNS}",
        {"id": task_id, "owner": owner},
    )


async def delete(connection: Connection, task_id: str, owner: str | None) -> bool:
    """Delete a task that has ended; False if it has not."""
    cursor = await connection.execute(
        "DELETE FROM tasks WHERE id = %(id)s"
        f" AND status IN ('completed', 'failed', 'cancelled'){_owned(owner)}",
        {"id": task_id, "owner": owner},
    )
    return cursor.rowcount == 1


async def list_types(connection: Connection) -> list[DictRow]:
    """Every registered task type."""
    cursor = await connection.execute(
        "SELECT name AS task_type, description FROM task_types ORDER BY name"
    )
    return await cursor.fetchall()


async def register_type(connection: Connection, name: str, description: str) -> None:
    """Register a task type or change its description."""
    await connection.execute(
        "INSERT INTO task_types (name, description) VALUES (%s, %s)"
        " ON CONFLICT (name) DO UPDATE SET description = excluded.description",
        (name, description),
    )


def _owned(owner: str | None) -> str:
    return "" if owner is None else " AND created_by = %(owner)s"


async def _one(connection: Connection, query: str, parameters: dict[str, Any]) -> DictRow | None:
    return await (await connection.execute(query, parameters)).fetchone()
