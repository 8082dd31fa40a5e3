"""What a target promises, with the bounds that make each promise checkable."""

from dataclasses import dataclass
from enum import StrEnum


class Guarantee(StrEnum):
    """How often the effect of an accepted task happens."""

    AT_MOST_ONCE = "at-most-once"
    AT_LEAST_ONCE = "at-least-once"
    EXACTLY_ONCE_EFFECT = "exactly-once-effect"


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Promises and bounds. Times are upper bounds that a loaded machine can keep."""

    guarantee: Guarantee
    lease_ms: int
    recovery_ms: int
    acknowledgement_grace_ms: int
    request_timeout_ms: int
    health_ms: int
    max_attempts: int
    workers_survive_database_loss: bool = True
    priorities: bool = True
    overlap_after_pause_is_declared: bool = True
