"""The defects that can be planted in the simulated queue, and the signature of each."""

from chaosfuzz.domain.target import Defect
from chaosfuzz.domain.verdict import Kind, Signature

NO_RECOVERY = "no-recovery"
STALE_RESULT = "stale-result"
LOST_ON_OUTAGE = "lost-on-outage"
DOUBLE_AFTER_SCALE = "double-after-scale"
DOUBLE_CREATE = "double-create"
BUFFERED_CREATE = "buffered-create"
RETRY_WITHOUT_RESET = "retry-without-reset"
POISON_PILL = "poison-pill"

DEFECTS = (
    Defect(
        name=NO_RECOVERY,
        summary="a task whose worker was killed is never given to another",
        mirrors="a queue without a reaper for expired leases",
    ),
    Defect(
        name=STALE_RESULT,
        summary="a worker that was frozen past its lease overwrites the run that replaced it",
        mirrors="results accepted without a fencing token",
    ),
    Defect(
        name=LOST_ON_OUTAGE,
        summary="a restarted server commits without waiting for the disk",
        mirrors="synchronous_commit=off set on new connections only",
    ),
    Defect(
        name=DOUBLE_AFTER_SCALE,
        summary="a worker added by scaling takes over tasks that others are running",
        mirrors="orphan clean-up at start-up that does not look at leases",
    ),
    Defect(
        name=DOUBLE_CREATE,
        summary="a restarted server has forgotten how to match idempotency keys",
        mirrors="an idempotency cache kept in the memory of the server",
    ),
    Defect(
        name=BUFFERED_CREATE,
        summary="tasks created while the database is down are acknowledged and kept in memory",
        mirrors="a client-side buffer that answers before anything is stored",
    ),
    Defect(
        name=RETRY_WITHOUT_RESET,
        summary="a task that failed for good is retried with its attempts still used up",
        mirrors="a retry that changes the status and forgets the counter",
    ),
    Defect(
        name=POISON_PILL,
        summary="a task that outlived two workers is put aside where nobody looks",
        mirrors="protection against poison pills that blames the task for every crash",
    ),
)

SIGNATURES = {
    NO_RECOVERY: Signature(invariant="eventual_completion", kind=Kind.STUCK.value, role="worker"),
    STALE_RESULT: Signature(
        invariant="no_state_regression", kind=Kind.STATE_REGRESSION.value, role="worker"
    ),
    LOST_ON_OUTAGE: Signature(invariant="no_lost_tasks", kind=Kind.LOST.value, role="server"),
    DOUBLE_AFTER_SCALE: Signature(invariant="no_overlap", kind=Kind.OVERLAP.value, role="worker"),
    DOUBLE_CREATE: Signature(
        invariant="no_double_create", kind=Kind.DOUBLE_CREATE.value, role="server"
    ),
    BUFFERED_CREATE: Signature(invariant="no_lost_tasks", kind=Kind.LOST.value, role="server"),
    RETRY_WITHOUT_RESET: Signature(
        invariant="retries_are_complete", kind=Kind.GAVE_UP.value, role="server"
    ),
    POISON_PILL: Signature(invariant="no_early_surrender", kind=Kind.GAVE_UP.value, role="worker"),
}
