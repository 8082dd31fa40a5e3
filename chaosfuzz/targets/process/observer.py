"""Reads the reference system's tasks and circuit breakers by the harness's own session."""

from dataclasses import replace

from chaosfuzz.domain.breaker import Breaker, BreakerState, BreakerTransition
from chaosfuzz.domain.task import TaskState, TaskStatus
from chaosfuzz.targets.postgres.session import LastingSession, Row

_TASKS = """
SELECT t.id::text AS task_id, coalesce(t.payload->>'token', '') AS token,
       t.status::text AS status, t.current_attempt AS attempts, t.max_attempts, t.fence,
       t.completed_fence, (SELECT count(*) FROM effects e WHERE e.task_id = t.id) AS effects,
       coalesce(t.last_error, '') AS last_error
FROM tasks t ORDER BY t.created_at, t.id
"""
# One statement, so that breakers and the tasks they let through are of the same instant.
_BREAKERS = """
SELECT b.task_type, b.state, b.failures, b.successes, b.opened,
       (SELECT count(*) FROM tasks t WHERE t.task_type = b.task_type AND t.status = 'running'
        AND t.lease_until > clock_timestamp() AND t.breaker_opened = b.opened)
       AS let_through
FROM circuit_breakers b WHERE b.opened > 0 OR b.failures > 0 ORDER BY b.task_type
"""
_TRANSITIONS = """
SELECT task_type, from_state AS before, to_state AS after,
       (extract(epoch FROM at) * 1000)::float8 AS at_ms
FROM circuit_breaker_transitions ORDER BY id
"""


class QueueObserver:
    """Reads by a session that its owner closes; without `effects` none are reported."""

    def __init__(self, session: LastingSession, *, effects: bool) -> None:
        self._session = session
        self._effects = effects
        self._breakers: tuple[Breaker, ...] = ()
        self._transitions: tuple[BreakerTransition, ...] = ()

    def tasks(self) -> tuple[TaskState, ...] | None:
        """Return all tasks, oldest first; None while the database cannot be reached."""
        rows = self._session.query(_TASKS)
        if rows is None:
            return None
        without = {} if self._effects else {"effects": None}
        return tuple(
            TaskState(**{**row, "status": TaskStatus(row["status"]), **without}) for row in rows
        )

    def breakers(
        self, *, readable: bool
    ) -> tuple[tuple[Breaker, ...], tuple[BreakerTransition, ...]]:
        """Return the breakers that ever counted a failure, and the transitions of all breakers.

        While the database cannot be reached, these are the last ones read, with `let_through` set
        to 0: whether a worker still holds a task that the breaker let through is not known.
        """
        rows = self._session.query(_BREAKERS) if readable else None
        if rows is None:
            return tuple(replace(each, let_through=0) for each in self._breakers), self._transitions
        breakers = tuple(Breaker(**{**row, "state": BreakerState(row["state"])}) for row in rows)
        if breakers != self._breakers:
            transitions = self._session.query(_TRANSITIONS)
            if transitions is not None:
                self._breakers, self._transitions = breakers, tuple(map(_transition, transitions))
        return breakers, self._transitions


def _transition(row: Row) -> BreakerTransition:
    states = {key: BreakerState(row[key]) for key in ("before", "after")}
    return BreakerTransition(**{**row, **states})
