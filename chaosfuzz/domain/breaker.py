"""Circuit breakers of task types, as seen in the queue."""

from dataclasses import dataclass
from enum import StrEnum


class BreakerState(StrEnum):
    """Whether tasks of a type are let through: all, none, or one at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """One breaker at one instant.

    `opened` counts how often it has opened; `let_through` the tasks held by a worker now that
    were claimed after it last did.
    """

    task_type: str
    state: BreakerState
    failures: int = 0
    successes: int = 0
    opened: int = 0
    let_through: int = 0


@dataclass(frozen=True, kw_only=True)
class BreakerTransition:
    """One change of a breaker's state, at a time of the database's clock."""

    task_type: str
    before: BreakerState
    after: BreakerState
    at_ms: float
