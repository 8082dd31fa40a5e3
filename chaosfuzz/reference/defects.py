"""The defects that can be planted, each with the real-world bug it mirrors."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Defect:
    """One known way to get a job queue wrong."""

    name: str
    summary: str
    mirrors: str


class UnknownDefectError(ValueError):
    """A defect was asked for that nobody registered."""


def _defect(name: str, summary: str, mirrors: str) -> tuple[str, Defect]:
    return name, Defect(name=name, summary=summary, mirrors=mirrors)


DEFECTS: dict[str, Defect] = dict(
    (
        _defect(
            "claim-without-lock",
            "A task is selected, then updated by its id with neither lock nor status guard.",
            "Two workers poll the same row and both execute it.",
        ),
        _defect(
            "complete-without-lease-check",
            "A result is written by the task's id alone, whoever holds the lease by then.",
            "A paused worker wakes up and overwrites the result of its successor.",
        ),
        _defect(
            "no-lease-recovery",
            "Nobody looks for expired leases.",
            "A task stays running for ever after its worker was killed.",
        ),
        _defect(
            "no-heartbeat",
            "A lease is never extended while the handler runs.",
            "Tasks longer than the visibility timeout are delivered again while they run.",
        ),
        _defect(
            "ack-before-run",
            "A task is marked completed before its handler runs.",
            "A consumer that acknowledges on receipt loses its message when it crashes.",
        ),
        _defect(
            "respond-before-commit",
            "The reply to a create goes out and the insert is committed some 30 ms later.",
            "Asynchronous commit or a write-behind buffer loses acknowledged work at a crash.",
        ),
        _defect(
            "retry-never",
            "The first failure of a task is terminal.",
            "A retry predicate that is never true.",
        ),
        _defect(
            "retry-forgets-attempts",
            "A failure puts the attempts back to none, so a task is retried for ever.",
            "A poison message that is requeued with a fresh delivery count.",
        ),
        _defect(
            "dead-letter-dropped",
            "A task whose attempts are spent is deleted.",
            "A queue without a dead letter policy discards what it cannot deliver.",
        ),
        _defect(
            "pool-never-recovers",
            "The server keeps handing out broken connections after an outage.",
            "A connection pool without a liveness check serves errors until restarted.",
        ),
        _defect(
            "worker-exits-on-database-loss",
            "A worker exits with code 1 when it loses the database.",
            "An unhandled connection error ends the consumer, and nothing starts it again.",
        ),
        _defect(
            "recovery-requeues-finished",
            "Recovery looks at the lease only, and completion leaves the lease in place.",
            "A reaper that requeues acknowledged jobs runs them again.",
        ),
        _defect(
            "create-not-idempotent",
            "The idempotency key is ignored.",
            "A client's retry after a lost reply makes two tasks.",
        ),
        _defect(
            "priority-as-text",
            "Tasks are ordered by the priority's name, so critical comes last.",
            "An enumeration kept as text and sorted by its letters.",
        ),
        _defect(
            "schedule-ignored",
            "A claim does not ask whether the task is due.",
            "A claim from a stale snapshot without a second look at the due time.",
        ),
        _defect(
            "cancel-ignores-running",
            "Cancelling a running task answers with success and changes nothing.",
            "A handler that does not look at the number of rows it updated.",
        ),
        _defect(
            "health-always-ok",
            "Health is reported without asking the database.",
            "A health endpoint that returns a constant.",
        ),
        _defect(
            "effect-then-complete-in-two-commits",
            "The effect of a task commits first, its completion in a second transaction.",
            "A consumer that writes its result, then acknowledges: a crash between doubles it.",
        ),
        _defect(
            "commit-reply-lost-reruns",
            "A completion whose reply is lost counts as not written, and the task is put back.",
            "A client takes a connection lost during COMMIT for a rollback and does it all again.",
        ),
        _defect(
            "heartbeat-revives-lost-lease",
            "A heartbeat writes owner, fence and expiry of the lease, whoever holds it by then.",
            "A lock that is refreshed by SET, not compare-and-set, is taken from its next holder.",
        ),
        _defect(
            "claim-two-statements",
            "A task is looked up under a lock that ends at once, then taken if nobody holds it.",
            "SELECT FOR UPDATE in autocommit: a late claim takes what was done in the meantime.",
        ),
        _defect(
            "result-written-after-lease-lost-by-late-commit",
            "The lease is looked at first, and the result written by the task's id alone.",
            "Check, then act: a worker held up between the two overwrites its successor.",
        ),
        _defect(
            "retry-counts-twice-on-lost-reply",
            "Failures are counted by a statement that is sent again when its reply is lost.",
            "An increment repeated after a lost reply uses up the retries of a task.",
        ),
        _defect(
            "cut-connection-forgets-task",
            "A worker that loses the connection over a result drops the task; its heartbeat stays.",
            "The timer of a lease is not stopped on the path of an error: it is held for ever.",
        ),
        _defect(
            "transaction-left-open-after-error",
            "A result refused in mid-transaction leaves transaction and lock on the connection.",
            "A connection goes back to its pool without a rollback: others wait for its locks.",
        ),
        _defect(
            "clock-of-api-for-schedules",
            "The server works out by its own clock how long a scheduled task has to wait.",
            "scheduled_at minus the API's now, added to the database's: clocks differ.",
        ),
        _defect(
            "dead-letters-filtered-after-paging",
            "A page of dead letters is read first, then those of other users are left out.",
            "Filtering by owner in the application: pages come out short or empty.",
        ),
        _defect(
            "connection-leak-on-error",
            "A request that fails keeps its database connection.",
            "A connection that is given back on the path of success alone: the pool runs dry.",
        ),
        _defect(
            "breaker-drains-queue",
            "An open breaker has tasks claimed and turned away, which uses up their attempts.",
            "An open circuit breaker fails healthy work fast, all of it, into the dead letters.",
        ),
        _defect(
            "breaker-per-process",
            "Each worker has circuit breakers of its own.",
            "Every process counts alone: failures many times the limit pass, and nobody agrees.",
        ),
        _defect(
            "breaker-never-half-opens",
            "A breaker that has opened lets nothing through ever again.",
            "Recovery of a dependency goes unnoticed until somebody resets the breaker by hand.",
        ),
        _defect(
            "half-open-flood",
            "A half-open breaker lets every task through.",
            "All that has piled up falls upon a dependency that has only just come back.",
        ),
        _defect(
            "batch-blocks-polling",
            "A worker claims a batch and asks for more when all of it is done.",
            "One slow task keeps the other slots of its worker idle.",
        ),
        _defect(
            "stale-claim-snapshot",
            "Tasks found by one look are claimed one after another without a second look.",
            "A batch of candidates is worked off while others do, cancel or postpone them.",
        ),
        _defect(
            "type-registration-once",
            "A worker registers its task types once; if that fails, it never claims any.",
            "A worker that starts before its database or API is up idles for ever.",
        ),
        _defect(
            "term-drops-in-flight",
            "SIGTERM cuts running tasks short and reports them as done.",
            "A handler's cancellation on shutdown is taken for its ordinary end.",
        ),
    )
)


def check_defects(names: Iterable[str]) -> frozenset[str]:
    """Return the names as a set, or say which of them nobody knows."""
    wanted = frozenset(names)
    unknown = sorted(wanted - DEFECTS.keys())
    if unknown:
        message = f"unknown defect {', '.join(unknown)}; known are {', '.join(sorted(DEFECTS))}"
        raise UnknownDefectError(message)
    return wanted
