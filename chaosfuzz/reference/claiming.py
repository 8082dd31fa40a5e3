"""Taking the next due task for one worker and no other."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import DictRow

from chaosfuzz.reference import breaker
from chaosfuzz.reference.database import Connection
from chaosfuzz.reference.handlers import HANDLERS
from chaosfuzz.reference.settings import Settings

# A claim remembers how often its breaker had opened by then: what was claimed before an opening
# may go on, what was claimed after it is a probe.
_TAKE = """
WITH gate AS MATERIALIZED ({gate}), due AS MATERIALIZED ({due}), probing AS ({probing})
UPDATE tasks SET status = 'running', locked_by = %(worker)s,
    lease_until = clock_timestamp() + %(lease_ms)s * interval '1 millisecond',
    current_attempt = current_attempt + 1, fence = fence + 1, completed_fence = NULL,
    started_at = clock_timestamp(), updated_at = clock_timestamp(),
    breaker_opened = {opened}
FROM due WHERE id = due_id AND {guard}
RETURNING id, task_type, payload, retry_strategy, current_attempt, max_attempts, fence,
    {breaker} IN (SELECT gate_type FROM gate) AS probes, {refused} AS refused
"""
_COLUMNS = "id AS due_id, task_type AS due_type, fence AS due_fence"
_FOUND = f"SELECT {_COLUMNS} FROM tasks WHERE id = %(due_id)s"
_LEFT_ALONE = (
    "locked_by IS NULL"
    " AND (started_at IS NULL OR started_at < clock_timestamp() - interval '100 ms')"
)
# How many tasks a look finds that is used for several claims.
SNAPSHOT_TASKS = 10


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A task held by a worker; the fence says which of its holders this is.

    `probes` says that it is what a half-open breaker let through; `refused` that its breaker is
    open and it must not run, which no correct claim grants.
    """

    task_id: str
    task_type: str
    payload: Any
    retry_strategy: dict[str, Any]
    attempt: int
    max_attempts: int
    fence: int
    worker: str
    probes: bool = False
    refused: bool = False

    def keys(self) -> dict[str, Any]:
        """The parameters that every statement about this claim needs."""
        return {"id": self.task_id, "fence": self.fence, "worker": self.worker}


def _next_due(settings: Settings, limit: int = 1) -> str:
    # DEFECT priority-as-text: the letters decide, and critical sorts below all others.
    order = "priority::text" if settings.has("priority-as-text") else "priority"
    # DEFECT schedule-ignored: what is not yet due may be claimed.
    due = "true" if settings.has("schedule-ignored") else "ready_at <= clock_timestamp()"
    return (
        f"SELECT {_COLUMNS} FROM tasks WHERE status IN ('pending', 'retrying') AND {due}"
        f" AND task_type = ANY(%(types)s) AND {breaker.admits(settings)}"
        f" ORDER BY {order} DESC, ready_at, created_at LIMIT {limit}"
    )


def _taking(settings: Settings, due: str, guard: str = "true") -> str:
    of_task = breaker.key(settings, "due_type")
    opened = f"(SELECT opened FROM circuit_breakers WHERE task_type = {of_task})"
    # DEFECT breaker-drains-queue: what an open breaker should keep is claimed and turned away.
    drains = settings.has("breaker-drains-queue")
    refused = (
        "due_type IN (SELECT task_type FROM circuit_breakers WHERE state <> 'closed')"
        " AND due_type NOT IN (SELECT gate_type FROM gate)"
        if drains
        else "false"
    )
    return _TAKE.format(
        gate=breaker.gate(settings),
        due=due,
        probing=breaker.probing(settings),
        breaker=of_task,
        opened="NULL" if drains else opened,
        guard=guard,
        refused=refused,
    )


async def claim(
    connection: Connection,
    settings: Settings,
    worker: str,
    types: Sequence[str] = tuple(HANDLERS),
    snapshot: list[DictRow] | None = None,
) -> Claim | None:
    """Claim the most urgent due task of these types that its breaker lets through, or None.

    `snapshot` is what a defect remembers from one claim to the next.
    """
    parameters = {
        "worker": worker,
        "lease_ms": settings.lease_ms,
        "types": list(types),
        **breaker.limits(settings, worker),
    }
    looking = f"WITH gate AS ({breaker.gate(settings)}) {{due}}"
    locked = f"{_next_due(settings)} FOR UPDATE SKIP LOCKED"
    guard = "true"
    # DEFECT claim-without-lock: between the look and the update another worker may do the same.
    if settings.has("claim-without-lock"):
        statement = looking.format(due=_next_due(settings))
        found = await (await connection.execute(statement, parameters)).fetchone()
        await asyncio.sleep(0.005)
    # DEFECT claim-two-statements: the lock ends with the look. That nobody holds the task by then
    # or has just begun it hides most races, and does not say that it is still to be done.
    elif settings.has("claim-two-statements"):
        statement = looking.format(due=locked)
        found = await (await connection.execute(statement, parameters)).fetchone()
        guard = _LEFT_ALONE
    # DEFECT stale-claim-snapshot: one look serves several claims, and what it saw is not asked
    # again: neither whether the task is due nor whether it is still to be done.
    elif settings.has("stale-claim-snapshot") and snapshot is not None:
        if not snapshot:
            statement = looking.format(due=_next_due(settings, SNAPSHOT_TASKS))
            snapshot += await (await connection.execute(statement, parameters)).fetchall()
        found = snapshot.pop(0) if snapshot else None
        guard = "locked_by IS NULL"
    else:
        row = await (await connection.execute(_taking(settings, locked), parameters)).fetchone()
        return _as_claim(row, worker)
    if found is None:
        return None
    statement = _taking(settings, _FOUND, guard)
    row = await (await connection.execute(statement, {**parameters, **found})).fetchone()
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
        probes=row["probes"],
        refused=row["refused"],
    )
