"""The contract of a target: what it promises, and the bounds within which it does."""

from dataclasses import dataclass
from enum import StrEnum


class Guarantee(StrEnum):
    """How often the effect of an accepted task happens, by the target's promise."""

    AT_MOST_ONCE = "at-most-once"
    AT_LEAST_ONCE = "at-least-once"
    EXACTLY_ONCE_EFFECT = "exactly-once-effect"


class WorkerExit(StrEnum):
    """How to judge a worker's exit that no step ordered.

    BROKEN: it breaks a promise. WITHOUT_DATABASE: it breaks one unless the database was down, or
    the worker's connection was cut, at some time of the run. ALLOWED: it breaks none. HARNESS: it
    is an error of the test set-up, and the run proves nothing.
    """

    BROKEN = "broken"
    WITHOUT_DATABASE = "without-database"
    ALLOWED = "allowed"
    HARNESS = "harness"


@dataclass(frozen=True, kw_only=True)
class BreakerBounds:
    """How a circuit breaker works.

    It opens after `failures` in a row, stays open for at least `open_ms`, and closes again after
    `successes` in a row.
    """

    failures: int
    open_ms: int
    successes: int


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A documented limit: a behaviour that the target's own documentation admits.

    It admits findings of `kind` if a fault of one of the kinds `after` (values of FaultKind)
    touched each task that the finding is about. With `of_run`, such a fault anywhere in the run is
    enough. If `after` is empty, it needs no fault. If `status` is not empty, the tasks must also
    have that status in the queue. `says` is what the documentation says, `source` is where.
    """

    kind: str
    says: str
    source: str
    after: tuple[str, ...] = ()
    status: str = ""
    of_run: bool = False


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The promises of a target. Each time is an upper bound that a loaded machine can keep.

    - `lease_ms`: how long a worker holds a task without renewing its lease.
    - `recovery_ms`: after healing, within this time something moves until all tasks are done.
    - `acknowledgement_grace_ms`: how long after the end of an execution a fault may still keep the
      queue from learning of it.
    - `request_timeout_ms`: a request is answered within this time.
    - `health_ms`: after healing, health is well and the API accepts tasks within this time.
    - `max_attempts`: how often a task that fails is tried; 0 promises no number.
    - `pickup_ms`: within this time a worker with a free slot takes a ready task. A worker has
      `slots_per_worker` slots; None promises nothing.
    - `priorities`: a worker takes tasks of higher priority first.
    - `breaker`: how circuit breakers work; None promises nothing.
    - `serves_requests`: a server answers requests. If false, clients write tasks straight into the
      database, and no answer is promised while the database is down.
    - `worker_exit`: how to judge a worker that exits by itself.
    - `limits`: the documented limits. `source`: where the contract is documented.

    A field `..._is_declared` says that the target declares a behaviour, so that it breaks no
    promise after a fault that excuses it: two executions overlap; a task fails for good although
    its last execution finished; a worker starts a task that it took before it was out of action for
    longer than its lease (a late start).
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
        """Return how long a run waits for a lease to run out, in ms.

        It is the lease, but at most the recovery bound, so that a run does not wait for hours.
        """
        return min(self.lease_ms, self.recovery_ms)

    def attempts_of(self, failures: int) -> int:
        """Return how often a task whose first `failures` executions fail is tried at most."""
        return min(failures + 1, self.max_attempts) if self.max_attempts else failures + 1
