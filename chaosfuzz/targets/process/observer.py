"""Reads the queue straight from the database, by a session of the harness's own."""

from dataclasses import replace

from psycopg.rows import tuple_row

from chaosfuzz.domain.breaker import Breaker, BreakerState, BreakerTransition
from chaosfuzz.domain.task import TaskState, TaskStatus
from chaosfuzz.targets.postgres.session import SESSIONS, LastingSession

_TASKS = """
SELECT t.id::text, coalesce(t.payload->>'token', ''), t.status::text, t.current_attempt,
       t.max_attempts, t.fence, t.completed_fence,
       (SELECT count(*) FROM effects e WHERE e.task_id = t.id), coalesce(t.last_error, '')
FROM tasks t ORDER BY t.created_at, t.id
"""
# One statement, so that breakers and tasks are seen at the same instant.
_BREAKERS = """
SELECT b.task_type, b.state, b.failures, b.successes, b.opened,
       (SELECT count(*) FROM tasks t WHERE t.task_type = b.task_type AND t.status = 'running'
        AND t.lease_until > clock_timestamp() AND t.breaker_opened = b.opened)
FROM circuit_breakers b WHERE b.opened > 0 OR b.failures > 0 ORDER BY b.task_type
"""
_TRANSITIONS = """
SELECT task_type, from_state, to_state, extract(epoch FROM at) * 1000
FROM circuit_breaker_transitions ORDER BY id
"""


class QueueObserver:
    """Sees the queue; close it at the end."""

    def __init__(self, dsn: str, *, effects: bool) -> None:
        self._session = LastingSession[tuple[object, ...]](dsn, tuple_row)
        self._effects = effects
        self._breakers: tuple[Breaker, ...] = ()
        self._transitions: tuple[BreakerTransition, ...] = ()

    def tasks(self) -> tuple[TaskState, ...] | None:
        """Return all rows, or None while the database cannot be reached."""
        rows = self._session.query(_TASKS)
        if rows is None:
            return None
        return tuple(self._state(row) for row in rows)

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

    def sessions(self) -> tuple[int, int]:
        """Return the number of the target's sessions, and of those idle in a transaction."""
        rows = self._session.query(SESSIONS)
        if not rows:
            return 0, 0
        return int(str(rows[0][0])), int(str(rows[0][1]))

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def _state(self, row: tuple[object, ...]) -> TaskState:
        identity, token, status, attempts, limit, fence, completed, effects, error = row
        return TaskState(
            task_id=str(identity),
            token=str(token),
            status=TaskStatus(str(status)),
            attempts=int(str(attempts)),
            max_attempts=int(str(limit)),
            fence=int(str(fence)),
            completed_fence=None if completed is None else int(str(completed)),
            effects=int(str(effects)) if self._effects else None,
            last_error=str(error),
        )


def _breaker(row: tuple[object, ...]) -> Breaker:
    task_type, state, failures, successes, opened, let_through = map(str, row)
    return Breaker(
        task_type=task_type,
        state=BreakerState(state),
        failures=int(failures),
        successes=int(successes),
        opened=int(opened),
        let_through=int(let_through),
    )


def _transition(row: tuple[object, ...]) -> BreakerTransition:
    task_type, before, after, at_ms = map(str, row)
    return BreakerTransition(
        task_type=task_type,
        before=BreakerState(before),
        after=BreakerState(after),
        at_ms=float(at_ms),
    )
