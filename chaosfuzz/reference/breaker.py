"""The circuit breaker of each task type: one row, shared by all workers, changed with the tasks.

Closed, it counts failures in a row; enough of them open it, and tasks of the type stay in the
queue with their attempts. After a while one task at a time is let through as a probe (half-open):
enough successes close it, one failure opens it again. Only the probe's own result counts then,
so no straggler from before the opening can close it.

What is here are clauses of the statements that claim tasks and write their results: a breaker
changes in the same statement as the task, or not at all. Their parameters are `limits`.
"""

from typing import Any

from chaosfuzz.reference.settings import Settings

# A probe's hold outlives the lease of its task a little, so that two are never at work at once.
HOLD_MARGIN_MS = 50

_FORGET_PROBE = "probe = NULL, probe_fence = NULL, probe_until = NULL"
_PROBED = "state = 'half-open' AND probe = held_id AND probe_fence = held_fence"
# The clause by which a heartbeat keeps the hold of a probe.
KEPT = (
    "UPDATE circuit_breakers"
    " SET probe_until = clock_timestamp() + %(hold_ms)s * interval '1 millisecond'"
    " WHERE state = 'half-open' AND probe = %(id)s AND probe_fence = %(fence)s"
)
_TRIPS = "(state = 'half-open' OR failures + 1 >= %(breaker_failures)s)"
_STAYS_HALF_OPEN = "(state = 'half-open' AND successes + 1 < %(breaker_successes)s)"


def limits(settings: Settings, worker: str) -> dict[str, Any]:
    """The parameters of every clause here."""
    return {
        "breaker_failures": settings.breaker_failures,
        "breaker_open_ms": settings.breaker_open_ms,
        "breaker_successes": settings.breaker_successes,
        "hold_ms": settings.lease_ms + HOLD_MARGIN_MS,
        "breaker_owner": f"@{worker}",
    }


def key(settings: Settings, task_type: str) -> str:
    """The expression by which a task type's breaker is found."""
    # DEFECT breaker-per-process: each worker counts for itself and knows nothing of the others.
    if settings.has("breaker-per-process"):
        return f"{task_type} || %(breaker_owner)s"
    return task_type


def gate(settings: Settings) -> str:
    """The query for breakers that are not closed and let a probe through now."""
    waited = (
        "state = 'open' AND"
        " opened_at <= clock_timestamp() - %(breaker_open_ms)s * interval '1 millisecond'"
    )
    free = "state = 'half-open' AND (probe IS NULL OR probe_until < clock_timestamp())"
    # DEFECT breaker-never-half-opens: nobody looks how long it has been open.
    if settings.has("breaker-never-half-opens"):
        return f"SELECT task_type AS gate_type FROM circuit_breakers WHERE {free}"
    # DEFECT half-open-flood: half-open is open to all.
    if settings.has("half-open-flood"):
        return (
            "SELECT task_type AS gate_type FROM circuit_breakers"
            f" WHERE ({waited}) OR state = 'half-open'"
        )
    # The lock makes the look at the probe hold until the claim has put its own there.
    return (
        "SELECT task_type AS gate_type FROM circuit_breakers"
        f" WHERE ({waited}) OR ({free}) FOR UPDATE SKIP LOCKED"
    )


def admits(settings: Settings) -> str:
    """The condition on a task that its breaker lets it through; needs `gate`."""
    # DEFECT breaker-drains-queue: an open breaker does not keep tasks from being claimed.
    if settings.has("breaker-drains-queue"):
        return "true"
    of_task = key(settings, "task_type")
    return (
        f"({of_task} NOT IN (SELECT task_type FROM circuit_breakers WHERE state <> 'closed')"
        f" OR {of_task} IN (SELECT gate_type FROM gate))"
    )


def probing(settings: Settings) -> str:
    """The clause that makes the task in `due` the probe of a breaker that is not closed."""
    return (
        "UPDATE circuit_breakers SET state = 'half-open', probe = due_id,"
        " probe_fence = due_fence + 1,"
        " probe_until = clock_timestamp() + %(hold_ms)s * interval '1 millisecond'"
        f" FROM due WHERE task_type = {key(settings, 'due_type')} AND state <> 'closed'"
        " AND task_type IN (SELECT gate_type FROM gate)"
    )


def succeeded(settings: Settings) -> str:
    """The clause that counts the success of the task in `held`.

    A closed breaker without failures is left alone: successes do not queue for its row.
    """
    return (
        "UPDATE circuit_breakers SET"
        f" state = CASE WHEN {_STAYS_HALF_OPEN} THEN state ELSE 'closed' END,"
        f" successes = CASE WHEN {_STAYS_HALF_OPEN} THEN successes + 1 ELSE 0 END,"
        f" failures = 0, {_FORGET_PROBE}"
        f" FROM held WHERE task_type = {key(settings, 'held_type')}"
        f" AND ((state = 'closed' AND failures > 0) OR ({_PROBED}))"
    )


def failed(settings: Settings) -> str:
    """The clause that counts the failure of the task in `held`."""
    return (
        "UPDATE circuit_breakers SET"
        f" state = CASE WHEN {_TRIPS} THEN 'open' ELSE state END,"
        f" opened = opened + CASE WHEN {_TRIPS} THEN 1 ELSE 0 END,"
        f" opened_at = CASE WHEN {_TRIPS} THEN clock_timestamp() ELSE opened_at END,"
        f" failures = failures + 1, successes = 0, {_FORGET_PROBE}"
        f" FROM held WHERE task_type = {key(settings, 'held_type')}"
        f" AND (state = 'closed' OR ({_PROBED}))"
    )


def given_back(settings: Settings) -> str:
    """The clause that lets the next probe through where the task in `held` was one."""
    return (
        f"UPDATE circuit_breakers SET {_FORGET_PROBE}"
        f" FROM held WHERE task_type = {key(settings, 'held_type')} AND ({_PROBED})"
    )
