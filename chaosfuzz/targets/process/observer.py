"""Reads the queue straight from the database, by a session of the harness's own."""

from dataclasses import replace

from chaosfuzz.domain.breaker import Breaker, BreakerState, BreakerTransition
from chaosfuzz.domain.task import TaskState, TaskStatus
from chaosfuzz.targets.postgres.session import LastingSession, Row

_TASKS = """
SELECT t.id::text AS id, coalesce(t.payload->>'token', '') AS token, t.status::text AS status,
       t.current_attempt, t.max_attempts, t.fence, t.completed_fence,
       (SELECT count(*) FROM effects e WHERE e.task_id = t.id) AS effects,
       coalesce(t.last_error, '') AS error
FROM tasks t ORDER BY t.created_at, t.id
"""
# One statement, so that breakers and tasks are seen at the same instant.
_BREAKERS = """
SELECT b.task_type, b.state, b.failures, b.successes, b.opened,
       (SELECT count(*) FROM tasks t WHERE t.task_type = b.task_type AND t.status = 'running'
        AND t.lease_until > clock_timestamp() AND t.breaker_opened = b.opened)
       AS let_through
FROM circuit_breakers b WHERE b.opened > 0 OR b.failures > 0 ORDER BY b.task_type
"""
_TRANSITIONS = """
SELECT task_type, from_state, to_state, extract(epoch FROM at) * 1000 AS at_ms
FROM circuit_breaker_transitions ORDER BY id
"""


class QueueObserver:
    """Sees the queue by a session that its owner closes."""

    def __init__(self, session: LastingSession, *, effects: bool) -> None:
        self._session = session
        self._effects = effects
        self._breakers: tuple[Breaker, ...] = ()
        self._transitions: tuple[BreakerTransition, ...] = ()

    def tasks(self) -> tuple[TaskState, ...] | None:
        """Return all rows, or None while the database cannot be reached."""
        rows = self._session.query(_TASKS)
        return None if rows is None else tuple(map(self._state, rows))

    def breakers(
        self, *, readable: bool
    ) -> tuple[tuple[Breaker, ...], tuple[BreakerTransition, ...]]:
        """Return the breakers that ever counted a failure, and all that breakers did so far.

        While the database cannot be reached, they are as they were seen last, but let nobody
        through: whether somebody still holds a task is not known.
        """
        rows = self._session.query(_BREAKERS) if readable else None
        if rows is None:
            return tuple(replace(each, let_through=0) for each in self._breakers), self._transitions
        breakers = tuple(map(_breaker, rows))
        if breakers != self._breakers:
            done = self._session.query(_TRANSITIONS)
            if done is not None:
                self._breakers, self._transitions = breakers, tuple(map(_transition, done))
        return breakers, self._transitions

    def _state(self, row: Row) -> TaskState:
        return TaskState(
            task_id=row["id"],
            token=row["token"],
            status=TaskStatus(row["status"]),
            attempts=row["current_attempt"],
            max_attempts=row["max_attempts"],
            fence=row["fence"],
            completed_fence=row["completed_fence"],
            effects=row["effects"] if self._effects else None,
            last_error=row["error"],
        )


def _breaker(row: Row) -> Breaker:
    return Breaker(
        task_type=row["task_type"],
        state=BreakerState(row["state"]),
        failures=row["failures"],
        successes=row["successes"],
        opened=row["opened"],
        let_through=row["let_through"],
    )


def _transition(row: Row) -> BreakerTransition:
    return BreakerTransition(
        task_type=row["task_type"],
        before=BreakerState(row["from_state"]),
        after=BreakerState(row["to_state"]),
        at_ms=float(row["at_ms"]),
    )
