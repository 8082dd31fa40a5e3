"""The circuit breaker of each task type: one row, shared by all workers, changed with the tasks.

A closed breaker counts failures in a row; `breaker_failures` of them open it. While it is open,
tasks of the type wait in the queue and use up no attempts. After `breaker_open_ms` it is half-open
and admits one task at a time, the probe: `breaker_successes` successes close it, one failure opens
it again. Only the probe's result counts then, so a task claimed before the opening cannot close it.

This module returns clauses of the statements that claim tasks and write results, so a breaker
changes in the same statement as its task. `limits` returns the parameters of all clauses.
"""

from typing import Any

from chaosfuzz.reference.settings import Settings

# A probe holds the breaker for the lease plus this margin, so that the next probe begins after
# the lease has expired. Chosen by hand.
HOLD_MARGIN_MS = 50

_FORGET_PROBE = "probe = NULL, probe_fence = NULL, probe_until = NULL"
_PROBED = "state = 'half-open' AND probe = held_id AND probe_fence = held_fence"
# The clause by which a heartbeat extends the hold of a probe.
EXTEND_HOLD = (
    "UPDATE circuit_breakers"
    " SET probe_until = clock_timestamp() + %(hold_ms)s * interval '1 millisecond'"
    " WHERE state = 'half-open' AND probe = %(id)s AND probe_fence = %(fence)s"
)
_TRIPS = "(state = 'half-open' OR failures + 1 >= %(breaker_failures)s)"
_STAYS_HALF_OPEN = "(state = 'half-open' AND successes + 1 < %(breaker_successes)s)"


def limits(settings: Settings, worker: str) -> dict[str, Any]:
    """Return the parameters of all clauses for a worker of that name."""
    return {
        "breaker_failures": settings.breaker_failures,
        "breaker_open_ms": settings.breaker_open_ms,
        "breaker_successes": settings.breaker_successes,
        "hold_ms": settings.lease_ms + HOLD_MARGIN_MS,
        "breaker_owner": f"@{worker}",
    }


def key(settings: Settings, task_type: str) -> str:
    """Return the SQL expression for the breaker's key; `task_type` is an expression as well."""
    # DEFECT breaker-per-process: each worker has a breaker of its own for each type.
    if settings.has("breaker-per-process"):
        return f"{task_type} || %(breaker_owner)s"
    return task_type


def gate(settings: Settings) -> str:
    """Return the query for breakers that are not closed and admit a probe now.

    It locks their rows and skips rows that another claim has locked.
    """
    waited = (
        "state = 'open' AND"
        " opened_at <= clock_timestamp() - %(breaker_open_ms)s * interval '1 millisecond'"
    )
    free = "state = 'half-open' AND (probe IS NULL OR probe_until < clock_timestamp())"
    # DEFECT breaker-never-half-opens: the time that a breaker has been open is not looked at.
    if settings.has("breaker-never-half-opens"):
        return f"SELECT task_type AS gate_type FROM circuit_breakers WHERE {free}"
    # DEFECT half-open-flood: a half-open breaker admits every task.
    if settings.has("half-open-flood"):
        return (
            "SELECT task_type AS gate_type FROM circuit_breakers"
            f" WHERE ({waited}) OR state = 'half-open'"
        )
    # The lock keeps other claims from the breaker until this one has stored its probe.
    return (
        "SELECT task_type AS gate_type FROM circuit_breakers"
        f" WHERE ({waited}) OR ({free}) FOR UPDATE SKIP LOCKED"
    )


def admits(settings: Settings) -> str:
    """Return the condition that its breaker admits a task; needs the clause `gate`."""
    # DEFECT breaker-drains-queue: an open breaker does not keep tasks from being claimed.
    if settings.has("breaker-drains-queue"):
        return "true"
    breaker = key(settings, "task_type")
    return (
        f"({breaker} NOT IN (SELECT task_type FROM circuit_breakers WHERE state <> 'closed')"
        f" OR {breaker} IN (SELECT gate_type FROM gate))"
    )


def probing(settings: Settings) -> str:
    """Return the clause that makes the task in `due` the probe of its breaker, unless closed."""
    return (
        "UPDATE circuit_breakers SET state = 'half-open', probe = due_id,"
        " probe_fence = due_fence + 1,"
        " probe_until = clock_timestamp() + %(hold_ms)s * interval '1 millisecond'"
        f" FROM due WHERE task_type = {key(settings, 'due_type')} AND state <> 'closed'"
        " AND task_type IN (SELECT gate_type FROM gate)"
    )


def succeeded(settings: Settings) -> str:
    """Return the clause that counts the success of the task in `held`.

    It leaves a closed breaker without failures alone, so successes do not wait for its row.
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
    """Return the clause that counts the failure of the task in `held`."""
    return (
        "UPDATE circuit_breakers SET"
        f" state = CASE WHEN {_TRIPS} THEN 'open' ELSE state END,"
        f" opened = opened + CASE WHEN {_TRIPS} THEN 1 ELSE 0 END,"
        f" opened_at = CASE WHEN {_TRIPS} THEN clock_timestamp() ELSE opened_at END,"
        f" failures = failures + 1, successes = 0, {_FORGET_PROBE}"
        f" FROM held WHERE task_type = {key(settings, 'held_type')}"
        f" AND (state = 'closed' OR ({_PROBED}))"
    )


def released(settings: Settings) -> str:
    """Return the clause that frees the breaker for the next probe if the task in `held` was one."""
    return (
        f"UPDATE circuit_breakers SET {_FORGET_PROBE}"
        f" FROM held WHERE task_type = {key(settings, 'held_type')} AND ({_PROBED})"
    )
