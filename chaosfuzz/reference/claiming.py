"""Claiming the next due task for one worker."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import DictRow

from chaosfuzz.reference import breaker
from chaosfuzz.reference.database import Connection, fetch_all, fetch_one
from chaosfuzz.reference.handlers import HANDLERS
from chaosfuzz.reference.settings import Settings

# A claim stores how often its breaker had opened. A task claimed before an opening may go on; a
# task claimed after it is a probe.
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
_NOT_JUST_BEGUN = (
    "locked_by IS NULL"
    " AND (started_at IS NULL OR started_at < clock_timestamp() - interval '100 ms')"
)
# The number of tasks that a query of the defect stale-claim-snapshot finds; chosen by hand.
SNAPSHOT_TASKS = 10


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A task that a worker holds. `fence` is the fencing token: the number of its claims so far.

    `probes`: the task is the probe of a half-open breaker. `refused`: its breaker is open and it
    must not run; only the defect breaker-drains-queue claims such tasks.
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
        """Return the parameters id, fence and worker of statements about this claim."""
        return {"id": self.task_id, "fence": self.fence, "worker": self.worker}


def _next_due(settings: Settings, limit: int = 1) -> str:
    # DEFECT priority-as-text: the order is by letters, and critical sorts below all others.
    order = "priority::text" if settings.has("priority-as-text") else "priority"
    # DEFECT schedule-ignored: tasks that are not due yet may be claimed.
    due = "true" if settings.has("schedule-ignored") else "ready_at <= clock_timestamp()"
    return (
        f"SELECT {_COLUMNS} FROM tasks WHERE status IN ('pending', 'retrying') AND {due}"
        f" AND task_type = ANY(%(types)s) AND {breaker.admits(settings)}"
        f" ORDER BY {order} DESC, ready_at, created_at LIMIT {limit}"
    )


def _taking(settings: Settings, due: str, guard: str = "true") -> str:
    breaker_key = breaker.key(settings, "due_type")
    opened = f"(SELECT opened FROM circuit_breakers WHERE task_type = {breaker_key})"
    # DEFECT breaker-drains-queue: tasks behind an open breaker are claimed and refused.
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
        breaker=breaker_key,
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
    """Claim the most urgent due task of these types that its breaker admits, or return None.

    The worker gets a lease of `lease_ms`; attempt and fence go up by one. `snapshot` holds the
    tasks that the defect stale-claim-snapshot has found and not yet claimed.
    """
    parameters = {
        "worker": worker,
        "lease_ms": settings.lease_ms,
        "types": list(types),
        **breaker.limits(settings, worker),
    }
    select = f"WITH gate AS ({breaker.gate(settings)}) {{due}}"
    locked = f"{_next_due(settings)} FOR UPDATE SKIP LOCKED"
    guard = "true"
    # DEFECT claim-without-lock: another worker may find the task between SELECT and UPDATE.
    if settings.has("claim-without-lock"):
        statement = select.format(due=_next_due(settings))
        found = await fetch_one(connection, statement, parameters)
        await asyncio.sleep(0.005)
    # DEFECT claim-two-statements: the lock ends with the SELECT. The guard (no worker holds the
    # task or has just begun it) hides most races, but a task that has ended passes it.
    elif settings.has("claim-two-statements"):
        statement = select.format(due=locked)
        found = await fetch_one(connection, statement, parameters)
        guard = _NOT_JUST_BEGUN
    # DEFECT stale-claim-snapshot: one query serves several claims, which do not check again
    # whether the task is due and still waiting.
    elif settings.has("stale-claim-snapshot") and snapshot is not None:
        if not snapshot:
            statement = select.format(due=_next_due(settings, SNAPSHOT_TASKS))
            snapshot += await fetch_all(connection, statement, parameters)
        found = snapshot.pop(0) if snapshot else None
        guard = "locked_by IS NULL"
    else:
        row = await fetch_one(connection, _taking(settings, locked), parameters)
        return _as_claim(row, worker)
    if found is None:
        return None
    statement = _taking(settings, _FOUND, guard)
    return _as_claim(await fetch_one(connection, statement, {**parameters, **found}), worker)


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
