"""Taking the next due task for one worker and no other."""

import asyncio
from dataclasses import dataclass
from typing import Any

from psycopg.rows import DictRow

from chaosfuzz.reference.database import Connection
from chaosfuzz.reference.settings import Settings

_TAKE = """
UPDATE tasks SET status = 'running', locked_by = %(worker)s,
    lease_until = clock_timestamp() + %(lease_ms)s * interval '1 millisecond',
    current_attempt = current_attempt + 1, fence = fence + 1, completed_fence = NULL,
    started_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE id = {target}
RETURNING id, task_type, payload, retry_strategy, current_attempt, max_attempts, fence
"""
_LEFT_ALONE = (
    "locked_by IS NULL"
    " AND (started_at IS NULL OR started_at < clock_timestamp() - interval '100 ms')"
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A task held by a worker; the fence says which of its holders this is."""

    task_id: str
    task_type: str
    payload: Any
    retry_strategy: dict[str, Any]
    attempt: int
    max_attempts: int
    fence: int
    worker: str

    def keys(self) -> dict[str, Any]:
        """The parameters that every statement about this claim needs."""
        return {"id": self.task_id, "fence": self.fence, "worker": self.worker}


def _next_due(settings: Settings) -> str:
    # DEFECT priority-as-text: the letters decide, and critical sorts below all others.
    order = "priority::text" if settings.has("priority-as-text") else "priority"
    # DEFECT schedule-ignored: what is not yet due may be claimed.
    due = "true" if settings.has("schedule-ignored") else "ready_at <= clock_timestamp()"
    return (
        f"SELECT id FROM tasks WHERE status IN ('pending', 'retrying') AND {due}"
        f" ORDER BY {order} DESC, ready_at, created_at LIMIT 1"
    )


async def claim(connection: Connection, settings: Settings, worker: str) -> Claim | None:
    """Claim the most urgent due task, or None if there is none."""
    parameters = {"worker": worker, "lease_ms": settings.lease_ms}
    # DEFECT claim-without-lock: between the look and the update another worker may do the same.
    if settings.has("claim-without-lock"):
        found = await (await connection.execute(_next_due(settings))).fetchone()
        if found is None:
            return None
        await asyncio.sleep(0.005)
        statement = _TAKE.format(target="%(id)s")
        row = await (await connection.execute(statement, {**parameters, **found})).fetchone()
        return _as_claim(row, worker)
    locked = f"{_next_due(settings)} FOR UPDATE SKIP LOCKED"
    # DEFECT claim-two-statements: the lock ends with the look. That nobody holds the task by then
    # or has just begun it hides most races, and does not say that it is still to be done.
    if settings.has("claim-two-statements"):
        found = await (await connection.execute(locked)).fetchone()
        if found is None:
            return None
        statement = _TAKE.format(target=f"%(id)s AND {_LEFT_ALONE}")
        row = await (await connection.execute(statement, {**parameters, **found})).fetchone()
        return _as_claim(row, worker)
    statement = _TAKE.format(target=f"({locked})")
    row = await (await connection.execute(statement, parameters)).fetchone()
    return _as_claim(row, worker)


def _as_claim(row: DictRow | None, worker: str) -> Claim | None:
    if row is None:
        return None
    return Claim(
        task_id=str(row["id"]),
        task_type=row["task_type"],
        payload=row["payload"],
        retry_strategy=row["retry_strategy"],
        attempt=row["current_attempt"],
        max_attempts=row["max_attempts"],
        fence=row["fence"],
        worker=worker,
    )
