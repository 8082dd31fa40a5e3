"""What a target promises, with the bounds that make each promise checkable."""

from dataclasses import dataclass
from enum import StrEnum


class Guarantee(StrEnum):
    """How often the effect of an accepted task happens."""

    AT_MOST_ONCE = "at-most-once"
    AT_LEAST_ONCE = "at-least-once"
    EXACTLY_ONCE_EFFECT = "exactly-once-effect"


class WorkerExit(StrEnum):
    """What it means that a worker ends which nobody ended.

    BROKEN: a promise is broken. WITHOUT_DATABASE: only if it had not lost its database before.
    ALLOWED: nothing. HARNESS: what was seen proves nothing, the set-up is broken.
    """

    BROKEN = "broken"
    WITHOUT_DATABASE = "without-database"
    ALLOWED = "allowed"
    HARNESS = "harness"


@dataclass(frozen=True, kw_only=True)
class BreakerBounds:
    """When a circuit breaker opens, how long it stays so at least, and what closes it again."""

    failures: int
    open_ms: int
    successes: int


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A behaviour that the target's own documentation admits.

    A finding of `kind` is one if a fault of one of the kinds `after` (of FaultKind) touched the
    tasks that it is about, or with `of_run` if there was one before, whatever it touched; with
    none named, always. With `status` the queue's last word on the tasks has to be that one too.
    `says` and `source` are what is documented, and where.
    """

    kind: str
    says: str
    source: str
    after: tuple[str, ...] = ()
    status: str = ""
    of_run: bool = False


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Promises and bounds. Times are upper bounds that a loaded machine can keep.

    A worker with fewer than `slots_per_worker` executions takes a ready task within `pickup_ms`;
    with None that, and without `breaker` what breakers do, is not promised. `max_attempts` 0
    promises no number of attempts. What is declared is no broken promise after a fault: an overlap,
    or that a task is called failed whose last run finished. Without `serves_requests` tasks are put
    straight into the database, and nobody promises to answer while that is away. A late start is
    one of a task that was taken before its worker was paused or cut off beyond its lease, whoever
    has it now.
    """

    guarantee: Guarantee
    lease_ms: int
    recovery_ms: int
    acknowledgement_grace_ms: int
    request_timeout_ms: int
    health_ms: int
    max_attempts: int
    worker_exit: WorkerExit = WorkerExit.BROKEN
    priorities: bool = True
    overlap_after_pause_is_declared: bool = True
    failed_after_finish_is_declared: bool = True
    late_start_is_declared: bool = False
    breaker: BreakerBounds | None = None
    slots_per_worker: int | None = None
    pickup_ms: int = 1000
    serves_requests: bool = True
    limits: tuple[Limit, ...] = ()
    source: str = ""

    @property
    def patience_ms(self) -> int:
        """How long a run waits for a lease to run out: no longer than anything moves.

        Nobody waits out a lease of hours, and by the recovery bound all has happened that will.
        """
        return min(self.lease_ms, self.recovery_ms)

    def attempts_of(self, failures: int) -> int:
        """Return how often a task that fails so often is tried at most."""
        return min(failures + 1, self.max_attempts) if self.max_attempts else failures + 1
