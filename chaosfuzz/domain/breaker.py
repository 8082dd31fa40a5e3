"""Circuit breakers of task types, as observed in the queue."""

from dataclasses import dataclass
from enum import StrEnum


class BreakerState(StrEnum):
    """The state of a breaker: workers claim all tasks of the type, none, or one at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """One breaker at one instant.

    `failures` and `successes` count those in a row. `opened` counts how often the breaker opened.
    `let_through` counts the tasks that a worker holds now and claimed after it last opened.
    """

    task_type: str
    state: BreakerState
    failures: int = 0
    successes: int = 0
    opened: int = 0
    let_through: int = 0


@dataclass(frozen=True, kw_only=True)
class BreakerTransition:
    """One change of a breaker's state; `at_ms` is a time of the database's clock, in ms."""

    task_type: str
    before: BreakerState
    after: BreakerState
    at_ms: float
