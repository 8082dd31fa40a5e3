"""Operations of clients on tasks, each on one connection.

`owner` limits an operation to the tasks of one user; with None it covers the tasks of all. The
SQL statements do the filtering, so pages are cut from filtered lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from psycopg import errors
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from chaosfuzz.reference.api_error import invalid
from chaosfuzz.reference.database import Connection, changes_one, fetch_all, fetch_one
from chaosfuzz.reference.settings import Settings

COLUMNS = (
    "id, task_type, status, priority, max_attempts, current_attempt, last_error, created_at,"
    " updated_at, scheduled_at, started_at, completed_at, created_by, metadata"
)
# Chosen by hand, all three.
MAX_AHEAD = timedelta(days=365)
MAX_PAST = timedelta(hours=1)
CREATE_TRIES = 3

Status = Literal["pending", "running", "completed", "failed", "cancelled", "retrying"]
Priority = Literal["low", "normal", "high", "critical"]
STATUSES = get_args(Status)

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
    """The data of a task that a client wants to create.

    `max_attempts` None stands for the default of the settings.
    """

    task_type: str
    payload: Any
    priority: str
    scheduled_at: datetime | None
    metadata: dict[str, Any] | None
    max_attempts: int | None
    retry_strategy: dict[str, Any]
    idempotency_key: str | None
    owner: str


async def check_new(connection: Connection, task: NewTask) -> None:
    """Raise ApiError (400) if the task's type is not registered or its schedule out of range.

    The range goes by the database's clock.
    """
    row = await fetch_one(
        connection,
        "SELECT clock_timestamp() AS now, EXISTS (SELECT FROM task_types WHERE name = %s) AS known",
        (task.task_type,),
    )
    if row is None or not row["known"]:
        raise invalid(f"the task type {task.task_type} is not registered; see GET /tasks/types")
    if task.scheduled_at is not None:
        ahead = task.scheduled_at - row["now"]
        if not -MAX_PAST <= ahead <= MAX_AHEAD:
            raise invalid("scheduled_at must be at most 365 days ahead and 1 hour past")


async def create(
    connection: Connection, task: NewTask, settings: Settings, new_id: str | None = None
) -> DictRow:
    """Insert the task and return it, or return the owner's task with the same idempotency key.

    The task gets `new_id`, or a random id. Raise ApiError (400) as `check_new` does, and
    psycopg's LockNotAvailable if a task with that key was deleted meanwhile CREATE_TRIES times.
    """
    await check_new(connection, task)
    # DEFECT create-not-idempotent: the key is neither stored nor looked for.
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
    # DEFECT clock-of-api-for-schedules: the server's clock decides how long the task waits.
    if settings.has("clock-of-api-for-schedules"):
        insert = _INSERT_BY_OWN_CLOCK
        skew = timedelta(milliseconds=settings.clock_skew_ms)
        parameters["own_now"] = datetime.now(UTC) + skew
    # The task with the key may be deleted between the INSERT and the SELECT.
    for _ in range(CREATE_TRIES):
        row = await fetch_one(connection, insert, parameters)
        if row is None:
            known = (
                f"SELECT {COLUMNS} FROM tasks WHERE created_by = %(owner)s"
                " AND idempotency_key = %(idempotency_key)s"
            )
            row = await fetch_one(connection, known, parameters)
        if row is not None:
            return row
    raise errors.LockNotAvailable("the task with this idempotency key is being deleted")


async def get(connection: Connection, task_id: str, owner: str | None) -> DictRow | None:
    """Return a task, or None if the id does not exist or has another owner."""
    statement = f"SELECT {COLUMNS} FROM tasks WHERE id = %(id)s{_owned(owner)}"
    return await fetch_one(connection, statement, {"id": task_id, "owner": owner})


async def list_tasks(
    connection: Connection,
    wanted: Mapping[str, str | None],
    limit: int,
    offset: int = 0,
    owner: str | None = None,
) -> list[DictRow]:
    """Return up to `limit` tasks, newest first, after the first `offset`.

    `wanted` maps columns to the values that a task must have; None allows every value.
    """
    conditions = {name: value for name, value in wanted.items() if value is not None}
    where = " AND ".join(f"{name}::text = %({name})s" for name in conditions) or "true"
    return await fetch_all(
        connection,
        f"SELECT {COLUMNS} FROM tasks WHERE {where}{_owned(owner)}"
        " ORDER BY created_at DESC, id LIMIT %(limit)s OFFSET %(offset)s",
        {**conditions, "limit": limit, "offset": offset, "owner": owner},
    )


async def stats(connection: Connection, tag: str | None = None) -> dict[str, int]:
    """Count the tasks in each status and in total: all tasks, or those with this metadata.tag."""
    rows = await fetch_all(
        connection,
        "SELECT status, count(*) AS number FROM tasks"
        " WHERE %(tag)s::text IS NULL OR metadata ->> 'tag' = %(tag)s GROUP BY status",
        {"tag": tag},
    )
    numbers = {row["status"]: row["number"] for row in rows}
    return {"total": sum(numbers.values()), **{each: numbers.get(each, 0) for each in STATUSES}}


async def cancel(
    connection: Connection, task_id: str, owner: str | None, settings: Settings
) -> DictRow | None:
    """Cancel a task that is waiting or running and return it; None if no such task exists.

    A worker that runs the task notices the cancellation at its next heartbeat and stops; its
    result is refused.
    """
    # DEFECT cancel-ignores-running: only waiting tasks are looked for.
    ignored = settings.has("cancel-ignores-running")
    open_statuses = "'pending', 'retrying'" if ignored else "'pending', 'retrying', 'running'"
    return await fetch_one(
        connection,
        "UPDATE tasks SET status = 'cancelled', completed_at = clock_timestamp(),"
        " locked_by = NULL, lease_until = NULL, updated_at = clock_timestamp()"
        f" WHERE id = %(id)s AND status IN ({open_statuses}){_owned(owner)} RETURNING {COLUMNS}",
        {"id": task_id, "owner": owner},
    )


async def retry(connection: Connection, task_id: str, owner: str | None) -> DictRow | None:
    """Queue a failed task with all its attempts and return it; None if no such task exists."""
    return await fetch_one(
        connection,
        "UPDATE tasks SET status = 'pending', current_attempt = 0, last_error = NULL,"
        " completed_at = NULL, ready_at = clock_timestamp(), updated_at = clock_timestamp()"
        f" WHERE id = %(id)s AND status = 'failed'{_owned(owner)} RETURNING {COLUMNS}",
        {"id": task_id, "owner": owner},
    )


async def delete(connection: Connection, task_id: str, owner: str | None) -> bool:
    """Delete a task that is completed, failed or cancelled; False if no such task exists."""
    return await changes_one(
        connection,
        "DELETE FROM tasks WHERE id = %(id)s"
        f" AND status IN ('completed', 'failed', 'cancelled'){_owned(owner)}",
        {"id": task_id, "owner": owner},
    )


async def list_types(connection: Connection) -> list[DictRow]:
    """Return every registered task type, by name."""
    return await fetch_all(
        connection, "SELECT name AS task_type, description FROM task_types ORDER BY name"
    )


async def register_type(connection: Connection, name: str, description: str) -> None:
    """Register a task type, or change the description of a registered one."""
    await connection.execute(
        "INSERT INTO task_types (name, description) VALUES (%s, %s)"
        " ON CONFLICT (name) DO UPDATE SET description = excluded.description",
        (name, description),
    )


def _owned(owner: str | None) -> str:
    return "" if owner is None else " AND created_by = %(owner)s"
