"""What the holder of a claim tells the database; all of it is fenced."""

from chaosfuzz.reference.backoff import backoff_ms
from chaosfuzz.reference.claiming import Claim
from chaosfuzz.reference.database import Connection
from chaosfuzz.reference.settings import Settings

_HELD = "id = %(id)s AND status = 'running' AND fence = %(fence)s"
_UNLOCK = "locked_by = NULL, lease_until = NULL, updated_at = clock_timestamp()"


def _target(settings: Settings) -> str:
    # DEFECT complete-without-lease-check: whoever comes last is believed.
    return "id = %(id)s" if settings.has("complete-without-lease-check") else _HELD


async def extend_lease(connection: Connection, claim: Claim, settings: Settings) -> bool:
    """Extend the lease; False if somebody else holds the task or nobody does."""
    cursor = await connection.execute(
        "UPDATE tasks SET lease_until ="
        " clock_timestamp() + %(lease_ms)s * interval '1 millisecond'"
        f" WHERE {_HELD} AND locked_by = %(worker)s",
        {**claim.keys(), "lease_ms": settings.lease_ms},
    )
    return cursor.rowcount == 1


async def complete(connection: Connection, claim: Claim, settings: Settings) -> bool:
    """Mark the task completed, in exactly-once-effect mode together with its effect."""
    # DEFECT recovery-requeues-finished: the lease of a finished task stays in place.
    leave_lease = settings.has("recovery-requeues-finished")
    unlock = "updated_at = clock_timestamp()" if leave_lease else _UNLOCK
    statement = (
        f"UPDATE tasks SET status = 'completed', completed_at = clock_timestamp(), {unlock},"
        f" last_error = NULL, completed_fence = %(fence)s WHERE {_target(settings)}"
    )
    if settings.mode == "exactly-once-effect":
        statement = (
            f"WITH done AS ({statement} RETURNING id)"
            " INSERT INTO effects (task_id, fence) SELECT id, %(fence)s FROM done"
        )
    cursor = await connection.execute(statement, claim.keys())
    return cursor.rowcount == 1


async def fail(connection: Connection, claim: Claim, settings: Settings, error: str) -> bool:
    """Record a failed attempt: another one after the backoff, or the dead letter queue."""
    delay_ms = backoff_ms(claim.retry_strategy, claim.attempt, settings)
    again = delay_ms is not None and claim.attempt < claim.max_attempts
    attempt = claim.attempt
    # DEFECT retry-never: no failure is ever tried again.
    if settings.has("retry-never"):
        again = False
    # DEFECT retry-forgets-attempts: every failure counts as the first.
    if settings.has("retry-forgets-attempts"):
        again, attempt, delay_ms = True, 0, delay_ms or 0
    if not again:
        return await _bury(connection, claim, settings, error)
    cursor = await connection.execute(
        "UPDATE tasks SET status = 'retrying', last_error = %(error)s,"
        " current_attempt = %(attempt)s,"
        " ready_at = clock_timestamp() + %(delay_ms)s * interval '1 millisecond',"
        f" {_UNLOCK} WHERE {_target(settings)}",
        {**claim.keys(), "error": error, "attempt": attempt, "delay_ms": delay_ms},
    )
    return cursor.rowcount == 1


async def _bury(connection: Connection, claim: Claim, settings: Settings, error: str) -> bool:
    # DEFECT dead-letter-dropped: what cannot be done is deleted.
    if settings.has("dead-letter-dropped"):
        statement = f"DELETE FROM tasks WHERE {_target(settings)}"
    else:
        statement = (
            "UPDATE tasks SET status = 'failed', last_error = %(error)s,"
            f" completed_at = clock_timestamp(), {_UNLOCK} WHERE {_target(settings)}"
        )
    cursor = await connection.execute(statement, {**claim.keys(), "error": error})
    return cursor.rowcount == 1


async def release(connection: Connection, claim: Claim, settings: Settings) -> bool:
    """Give an unfinished task back at once; the attempt that was begun stays counted."""
    if claim.attempt >= claim.max_attempts:
        return await _bury(connection, claim, settings, "released by a stopping worker")
    cursor = await connection.execute(
        "UPDATE tasks SET status = 'retrying', ready_at = clock_timestamp(),"
        f" last_error = 'released by a stopping worker', {_UNLOCK} WHERE {_HELD}",
        claim.keys(),
    )
    return cursor.rowcount == 1
