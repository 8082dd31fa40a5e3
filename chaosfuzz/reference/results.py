"""Results, heartbeats and releases of claims, which the fencing token guards."""

from typing import Any

from chaosfuzz.reference import breaker
from chaosfuzz.reference.backoff import backoff_ms
from chaosfuzz.reference.claiming import Claim
from chaosfuzz.reference.database import Connection, changes_one, fetch_one
from chaosfuzz.reference.recovery import QUEUED_OR_FAILED
from chaosfuzz.reference.settings import Settings

_HELD = "id = %(id)s AND status = 'running' AND fence = %(fence)s"
_UNLOCK = "locked_by = NULL, lease_until = NULL, updated_at = clock_timestamp()"
# The lock keeps the task with its worker from the statement's begin to its end.
_HOLDING = (
    "WITH held AS MATERIALIZED ("
    "SELECT id AS held_id, task_type AS held_type, fence AS held_fence"
    " FROM tasks WHERE {target} FOR UPDATE), breaker AS ({breaker})"
)
_OF_HELD = "FROM held WHERE id = held_id"


def _parameters(claim: Claim, settings: Settings) -> dict[str, Any]:
    return {**claim.keys(), **breaker.limits(settings, claim.worker)}


def _target(settings: Settings) -> str:
    # DEFECT complete-without-lease-check: the last result is stored, whoever holds the task.
    return "id = %(id)s" if settings.has("complete-without-lease-check") else _HELD


async def extend_lease(connection: Connection, claim: Claim, settings: Settings) -> bool:
    """Extend the lease by `lease_ms` from now; return False if the worker lost the task.

    For a probe, extend the hold on its breaker too.
    """
    lock, held = "", f"{_HELD} AND locked_by = %(worker)s"
    # DEFECT heartbeat-revives-lost-lease: owner and fence are written, whoever holds the task.
    if settings.has("heartbeat-revives-lost-lease"):
        lock = "locked_by = %(worker)s, fence = %(fence)s, "
        held = "id = %(id)s AND status = 'running'"
    extending = f"WITH probing AS ({breaker.EXTEND_HOLD}) " if claim.probes else ""
    return await changes_one(
        connection,
        f"{extending}UPDATE tasks SET {lock}lease_until ="
        " clock_timestamp() + %(lease_ms)s * interval '1 millisecond'"
        f" WHERE {held}",
        {**_parameters(claim, settings), "lease_ms": settings.lease_ms},
    )


async def complete(connection: Connection, claim: Claim, settings: Settings) -> bool:
    """Mark the task completed; return False if the worker lost it.

    In the mode exactly-once-effect, the same statement records the task's effect.
    """
    if settings.has("transaction-left-open-after-error"):
        return await _complete_in_turn(connection, claim, settings)
    # DEFECT result-written-after-lease-lost-by-late-commit: the UPDATE may come much later than
    # the check of the lease, and does not check it again.
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
        # DEFECT transaction-left-open-after-error: another worker took the task meanwhile. The
        # connection goes back to the pool with its transaction open and its lock held.
        return False
    await connection.execute("COMMIT")
    return held


async def _is_held(connection: Connection, claim: Claim) -> bool:
    row = await fetch_one(connection, f"SELECT id FROM tasks WHERE {_HELD}", claim.keys())
    return row is not None


async def _complete(connection: Connection, claim: Claim, settings: Settings, target: str) -> bool:
    # DEFECT recovery-requeues-finished: a completed task keeps its lease.
    leave_lease = settings.has("recovery-requeues-finished")
    unlock = "updated_at = clock_timestamp()" if leave_lease else _UNLOCK
    holding = _HOLDING.format(target=target, breaker=breaker.succeeded(settings))
    statement = (
        f"UPDATE tasks SET status = 'completed', completed_at = clock_timestamp(), {unlock},"
        f" last_error = NULL, completed_fence = %(fence)s {_OF_HELD}"
    )
    parameters = _parameters(claim, settings)
    # DEFECT effect-then-complete-in-two-commits: the effect commits before the completion.
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
    return await changes_one(connection, f"{holding} {statement}", parameters)


async def fail(connection: Connection, claim: Claim, settings: Settings, error: str) -> bool:
    """Record a failed attempt and count it at the breaker; return False if the worker lost it.

    The task is retried after the backoff, or becomes a dead letter with the error if it has no
    attempts left or its strategy is none.
    """
    delay_ms = backoff_ms(claim.retry_strategy, claim.attempt, settings)
    again = delay_ms is not None and claim.attempt < claim.max_attempts
    attempt = claim.attempt
    # DEFECT retry-counts-twice-on-lost-reply: a separate statement counts failures, and counts
    # again when this function is repeated.
    if settings.has("retry-counts-twice-on-lost-reply"):
        again = again and await _count_failure(connection, claim) < claim.max_attempts
    # DEFECT retry-never: a failed task is never retried.
    if settings.has("retry-never"):
        again = False
    # DEFECT retry-forgets-attempts: every failure sets the attempts to none.
    if settings.has("retry-forgets-attempts"):
        again, attempt, delay_ms = True, 0, delay_ms or 0
    counted = breaker.failed(settings)
    if not again:
        return await _bury(connection, claim, settings, error, counted)
    holding = _HOLDING.format(target=_target(settings), breaker=counted)
    return await changes_one(
        connection,
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


async def _count_failure(connection: Connection, claim: Claim) -> int:
    failures = "COALESCE((metadata ->> 'failures')::integer, 0)"
    row = await fetch_one(
        connection,
        "UPDATE tasks SET metadata = COALESCE(metadata, '{}')"
        f" || jsonb_build_object('failures', {failures} + 1)"
        f" WHERE {_HELD} RETURNING {failures} AS failures",
        claim.keys(),
    )
    return row["failures"] if row else 0


async def put_back(connection: Connection, claim: Claim, _settings: Settings) -> bool:
    """Queue a task again after its result seemed lost, for the defect commit-reply-lost-reruns.

    The status of the task is not looked at. Return False if another worker has claimed it.
    """
    return await changes_one(
        connection,
        f"UPDATE tasks SET {QUEUED_OR_FAILED},"
        f" last_error = 'the result was not written', ready_at = clock_timestamp(), {_UNLOCK}"
        " WHERE id = %(id)s AND fence = %(fence)s",
        claim.keys(),
    )


async def _bury(
    connection: Connection, claim: Claim, settings: Settings, error: str, counted: str
) -> bool:
    # DEFECT dead-letter-dropped: tasks without attempts left are deleted.
    if settings.has("dead-letter-dropped"):
        statement = "DELETE FROM tasks USING held WHERE id = held_id"
    else:
        statement = (
            "UPDATE tasks SET status = 'failed', last_error = %(error)s,"
            f" completed_at = clock_timestamp(), {_UNLOCK} {_OF_HELD}"
        )
    holding = _HOLDING.format(target=_target(settings), breaker=counted)
    parameters = {**_parameters(claim, settings), "error": error}
    return await changes_one(connection, f"{holding} {statement}", parameters)


async def release(connection: Connection, claim: Claim, settings: Settings) -> bool:
    """Give an unfinished task back to the queue; return False if the worker lost it.

    The attempt stays counted: a task without attempts left becomes a dead letter. A probe frees
    its breaker for the next probe.
    """
    freed = breaker.released(settings)
    if claim.attempt >= claim.max_attempts:
        return await _bury(connection, claim, settings, "released by a stopping worker", freed)
    holding = _HOLDING.format(target=_HELD, breaker=freed)
    return await changes_one(
        connection,
        f"{holding} UPDATE tasks SET status = 'retrying', ready_at = clock_timestamp(),"
        f" last_error = 'released by a stopping worker', {_UNLOCK} {_OF_HELD}",
        _parameters(claim, settings),
    )
