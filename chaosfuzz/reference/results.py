"""What the holder of a claim tells the database; all of it is fenced."""

from typing import Any

from chaosfuzz.reference import breaker
from chaosfuzz.reference.backoff import backoff_ms
from chaosfuzz.reference.claiming import Claim
from chaosfuzz.reference.database import Connection
from chaosfuzz.reference.settings import Settings

_HELD = "id = %(id)s AND status = 'running' AND fence = %(fence)s"
_UNLOCK = "locked_by = NULL, lease_until = NULL, updated_at = clock_timestamp()"
# The lock keeps whoever held the task when the statement began its holder until it ends.
_HOLDING = (
    "WITH held AS MATERIALIZED ("
    "SELECT id AS held_id, task_type AS held_type, fence AS held_fence"
    " FROM tasks WHERE {target} FOR UPDATE), breaker AS ({breaker})"
)
_OF_HELD = "FROM held WHERE id = held_id"


def _parameters(claim: Claim, settings: Settings) -> dict[str, Any]:
    return {**claim.keys(), **breaker.limits(settings, claim.worker)}


def _target(settings: Settings) -> str:
    # DEFECT complete-without-lease-check: whoever comes last is believed.
    return "id = %(id)s" if settings.has("complete-without-lease-check") else _HELD


async def extend_lease(connection: Connection, claim: Claim, settings: Settings) -> bool:
    """Extend the lease; False if somebody else holds the task or nobody does."""
    lock, held = "", f"{_HELD} AND locked_by = %(worker)s"
    # DEFECT heartbeat-revives-lost-lease: the whole lock is written, whoever has it by then.
    if settings.has("heartbeat-revives-lost-lease"):
        lock = "locked_by = %(worker)s, fence = %(fence)s, "
        held = "id = %(id)s AND status = 'running'"
    keeping = f"WITH probing AS ({breaker.KEPT}) " if claim.probes else ""
    cursor = await connection.execute(
        f"{keeping}UPDATE tasks SET {lock}lease_until ="
        " clock_timestamp() + %(lease_ms)s * interval '1 millisecond'"
        f" WHERE {held}",
        {**_parameters(claim, settings), "lease_ms": settings.lease_ms},
    )
    return cursor.rowcount == 1


async def complete(connection: Connection, claim: Claim, settings: Settings) -> bool:
    """Mark the task completed, in exactly-once-effect mode together with its effect."""
    if settings.has("transaction-left-open-after-error"):
        return await _complete_in_turn(connection, claim, settings)
    # DEFECT result-written-after-lease-lost-by-late-commit: the write may come much later than
    # the look at the lease, and does not look again.
    if settings.has("result-written-after-lease-lost-by-late-commit"):
        held = await _is_held(connection, claim)
        return held and await _complete(connection, claim, settings, "id = %(id)s")
    return await _complete(connection, claim, settings, _target(settings))


async def _complete_in_turn(connection: Connection, claim: Claim, settings: Settings) -> bool:
    await connection.execute("BEGIN")
    await connection.execute(
        "SELECT name FROM task_types WHERE name = %s FOR UPDATE", (claim.task_type,)
    )
    held = await _is_held(connection, claim)
    if held and not await _complete(connection, claim, settings, _HELD):
        # DEFECT transaction-left-open-after-error: somebody was quicker, which is dealt with like
        # any refusal; but the connection goes back to the pool in its transaction, with its lock.
        return False
    await connection.execute("COMMIT")
    return held


async def _is_held(connection: Connection, claim: Claim) -> bool:
    cursor = await connection.execute(f"SELECT id FROM tasks WHERE {_HELD}", claim.keys())
    return await cursor.fetchone() is not None


async def _complete(connection: Connection, claim: Claim, settings: Settings, target: str) -> bool:
    # DEFECT recovery-requeues-finished: the lease of a finished task stays in place.
    leave_lease = settings.has("recovery-requeues-finished")
    unlock = "updated_at = clock_timestamp()" if leave_lease else _UNLOCK
    holding = _HOLDING.format(target=target, breaker=breaker.succeeded(settings))
    statement = (
        f"UPDATE tasks SET status = 'completed', completed_at = clock_timestamp(), {unlock},"
        f" last_error = NULL, completed_fence = %(fence)s {_OF_HELD}"
    )
    parameters = _parameters(claim, settings)
    # DEFECT effect-then-complete-in-two-commits: the effect is there before the task is done.
    if settings.has("effect-then-complete-in-two-commits"):
        if settings.mode == "exactly-once-effect":
            await connection.execute(
                "INSERT INTO effects (task_id, fence)"
                f" SELECT id, %(fence)s FROM tasks WHERE {target}",
                claim.keys(),
            )
    elif settings.mode == "exactly-once-effect":
        holding = f"{holding}, done AS ({statement} RETURNING id)"
        statement = "INSERT INTO effects (task_id, fence) SELECT id, %(fence)s FROM done"
    cursor = await connection.execute(f"{holding} {statement}", parameters)
    return cursor.rowcount == 1


async def fail(connection: Connection, claim: Claim, settings: Settings, error: str) -> bool:
    """Record a failed attempt: another one after the backoff, or the dead letter queue."""
    delay_ms = backoff_ms(claim.retry_strategy, claim.attempt, settings)
    again = delay_ms is not None and claim.attempt < claim.max_attempts
    attempt = claim.attempt
    # DEFECT retry-counts-twice-on-lost-reply: failures have a count of their own, which goes up
    # once more whenever the whole has to be repeated.
    if settings.has("retry-counts-twice-on-lost-reply"):
        again = again and await _count_failure(connection, claim) < claim.max_attempts
    # DEFECT retry-never: no failure is ever tried again.
    if settings.has("retry-never"):
        again = False
    # DEFECT retry-forgets-attempts: every failure counts as the first.
    if settings.has("retry-forgets-attempts"):
        again, attempt, delay_ms = True, 0, delay_ms or 0
    counted = breaker.failed(settings)
    if not again:
        return await _bury(connection, claim, settings, error, counted)
    holding = _HOLDING.format(target=_target(settings), breaker=counted)
    cursor = await connection.execute(
        f"{holding} UPDATE tasks SET status = 'retrying', last_error = %(error)s,"
        " current_attempt = %(attempt)s,"
        " ready_at = clock_timestamp() + %(delay_ms)s * interval '1 millisecond',"
        f" {_UNLOCK} {_OF_HELD}",
        {
            **_parameters(claim, settings),
            "error": error,
            "attempt": attempt,
            "delay_ms": delay_ms,
        },
    )
    return cursor.rowcount == 1


async def _count_failure(connection: Connection, claim: Claim) -> int:
    failures = "COALESCE((metadata ->> 'failures')::integer, 0)"
    cursor = await connection.execute(
        "UPDATE tasks SET metadata = COALESCE(metadata, '{}')"
        f" || jsonb_build_object('failures', {failures} + 1)"
        f" WHERE {_HELD} RETURNING {failures} AS failures",
        claim.keys(),
    )
    row = await cursor.fetchone()
    return row["failures"] if row else 0


async def put_back(connection: Connection, claim: Claim) -> bool:
    """Queue a task again whose result could not be written, or so it seemed."""
    cursor = await connection.execute(
        "UPDATE tasks SET"
        " status = CASE WHEN current_attempt < max_attempts THEN 'retrying' ELSE 'failed' END,"
        " completed_at = CASE WHEN current_attempt < max_attempts THEN NULL"
        " ELSE clock_timestamp() END,"
        f" last_error = 'the result was not written', ready_at = clock_timestamp(), {_UNLOCK}"
        " WHERE id = %(id)s AND fence = %(fence)s",
        claim.keys(),
    )
    return cursor.rowcount == 1


async def _bury(
    connection: Connection, claim: Claim, settings: Settings, error: str, counted: str
) -> bool:
    # DEFECT dead-letter-dropped: what cannot be done is deleted.
    if settings.has("dead-letter-dropped"):
        statement = "DELETE FROM tasks USING held WHERE id = held_id"
    else:
        statement = (
            "UPDATE tasks SET status = 'failed', last_error = %(error)s,"
            f" completed_at = clock_timestamp(), {_UNLOCK} {_OF_HELD}"
        )
    holding = _HOLDING.format(target=_target(settings), breaker=counted)
    cursor = await connection.execute(
        f"{holding} {statement}", {**_parameters(claim, settings), "error": error}
    )
    return cursor.rowcount == 1


async def release(connection: Connection, claim: Claim, settings: Settings) -> bool:
    """Give an unfinished task back at once; the attempt that was begun stays counted."""
    freed = breaker.given_back(settings)
    if claim.attempt >= claim.max_attempts:
        error = "released by a stopping worker"
        return await _bury(connection, claim, settings, error, freed)
    holding = _HOLDING.format(target=_HELD, breaker=freed)
    cursor = await connection.execute(
        f"{holding} UPDATE tasks SET status = 'retrying', ready_at = clock_timestamp(),"
        f" last_error = 'released by a stopping worker', {_UNLOCK} {_OF_HELD}",
        _parameters(claim, settings),
    )
    return cursor.rowcount == 1
