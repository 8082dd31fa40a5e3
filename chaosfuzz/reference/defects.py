"""The defects that can be switched on, each with the real bug that it mirrors."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Defect:
    """One known mistake in job queues: what the queue does then, and the real bug it mirrors."""

    name: str
    summary: str
    mirrors: str


class UnknownDefectError(ValueError):
    """No defect has the given name."""


# Name, summary and the mirrored bug.
_TEXTS = {
    "claim-without-lock": (
        "A task is selected, then updated by its id, with neither lock nor status guard.",
        "Two workers poll the same row and both execute it.",
    ),
    "complete-without-lease-check": (
        "A result is written by the task's id alone, whichever worker holds the lease.",
        "A paused worker wakes up and overwrites the result of its successor.",
    ),
    "no-lease-recovery": (
        "No worker recovers tasks whose leases have expired.",
        "A task stays running for ever after its worker was killed.",
    ),
    "no-heartbeat": (
        "A lease is never extended while the handler runs.",
        "Tasks longer than the visibility timeout are delivered again while they run.",
    ),
    "ack-before-run": (
        "A task is marked completed before its handler runs.",
        "A consumer that acknowledges on receipt loses its message when it crashes.",
    ),
    "respond-before-commit": (
        "The reply to a create is sent first; the insert commits some 30 ms later.",
        "Asynchronous commit or a write-behind buffer loses acknowledged work at a crash.",
    ),
    "retry-never": (
        "The first failure of a task is final.",
        "A retry predicate that is never true.",
    ),
    "retry-forgets-attempts": (
        "A failure sets the number of attempts to zero, so the task is retried for ever.",
        "A poison message that is requeued with a fresh delivery count.",
    ),
    "dead-letter-dropped": (
        "A task without attempts left is deleted.",
        "A queue without a dead letter policy discards messages that it cannot deliver.",
    ),
    "pool-never-recovers": (
        "After an outage, the server continues to use broken connections.",
        "A connection pool without a liveness check serves errors until restarted.",
    ),
    "worker-exits-on-database-loss": (
        "A worker exits with code 1 when it loses the database.",
        "An unhandled connection error ends the consumer, and no supervisor starts it again.",
    ),
    "recovery-requeues-finished": (
        "Recovery looks at the lease alone, and a completed task keeps its lease.",
        "A reaper that requeues acknowledged jobs runs them again.",
    ),
    "create-not-idempotent": (
        "The idempotency key is ignored.",
        "A client's retry after a lost reply creates a second task.",
    ),
    "priority-as-text": (
        "Tasks are ordered by the priority's name, so critical comes last.",
        "An enumeration is stored as text and sorted alphabetically.",
    ),
    "schedule-ignored": (
        "A claim does not check whether the task is due.",
        "A claim from a stale snapshot does not check the due time again.",
    ),
    "cancel-ignores-running": (
        "Cancelling a running task reports success and changes nothing.",
        "A handler that does not look at the number of rows it updated.",
    ),
    "health-always-ok": (
        "Health is reported without a query to the database.",
        "A health endpoint that returns a constant.",
    ),
    "effect-then-complete-in-two-commits": (
        "The effect of a task commits first, its completion in a second transaction.",
        "A consumer writes its result, then acknowledges; a crash in between doubles the effect.",
    ),
    "commit-reply-lost-reruns": (
        "A completion whose reply is lost counts as failed, and the task is queued again.",
        "A client takes a connection lost during COMMIT for a rollback and repeats the work.",
    ),
    "heartbeat-revives-lost-lease": (
        "A heartbeat sets owner, fence and expiry, whichever worker holds the lease.",
        "A lock refreshed by SET instead of compare-and-set is taken from its next holder.",
    ),
    "claim-two-statements": (
        "A SELECT locks the task only until it ends; an UPDATE then takes it if unowned.",
        "SELECT FOR UPDATE in autocommit: a late claim takes a task that has ended meanwhile.",
    ),
    "result-written-after-lease-lost-by-late-commit": (
        "The lease is checked first, then the result is written by the task's id alone.",
        "Check, then act: a worker delayed between the two overwrites its successor's result.",
    ),
    "retry-counts-twice-on-lost-reply": (
        "The statement that counts a failure is sent again if its reply is lost.",
        "An increment repeated after a lost reply uses up the retries of a task.",
    ),
    "cut-connection-forgets-task": (
        "A worker that loses its connection with a result drops it but continues to heartbeat.",
        "The error path does not stop the timer of a lease, so the lease never expires.",
    ),
    "transaction-left-open-after-error": (
        "A refused result leaves transaction and lock open on its connection.",
        "A connection returns to its pool without a rollback; others wait for its locks.",
    ),
    "clock-of-api-for-schedules": (
        "The server computes the delay of a scheduled task by its own clock.",
        "scheduled_at minus the API's now, added to the database's: the clocks differ.",
    ),
    "dead-letters-filtered-after-paging": (
        "A page of dead letters is read, then those of other users are removed from it.",
        "Filtering by owner in the application: pages come out short or empty.",
    ),
    "connection-leak-on-error": (
        "A request that fails does not return its database connection to the pool.",
        "A connection is returned on the success path alone, so the pool runs dry.",
    ),
    "breaker-drains-queue": (
        "Tasks behind an open breaker are claimed and refused, which uses up their attempts.",
        "An open circuit breaker fails healthy tasks at once, down to the dead letters.",
    ),
    "breaker-per-process": (
        "Each worker has circuit breakers of its own.",
        "Each process counts alone, so many times the limit of failures passes.",
    ),
    "breaker-never-half-opens": (
        "An open breaker never admits a task again.",
        "A dependency recovers, but its breaker stays open until somebody resets it.",
    ),
    "half-open-flood": (
        "A half-open breaker admits every task.",
        "The whole backlog hits a dependency that has only just recovered.",
    ),
    "batch-blocks-polling": (
        "A worker claims a batch and claims again only when all its tasks are done.",
        "One slow task keeps the other slots of its worker idle.",
    ),
    "stale-claim-snapshot": (
        "Tasks found by one query are claimed one after another without another check.",
        "A batch of candidates is processed while others complete, cancel or postpone them.",
    ),
    "type-registration-once": (
        "A worker registers its task types once; if that fails, it never claims a task.",
        "A worker that starts before its database or API is up stays idle for ever.",
    ),
    "term-drops-in-flight": (
        "SIGTERM cancels running tasks and marks them completed.",
        "The cancellation of a handler at shutdown is taken for its normal end.",
    ),
}
DEFECTS = {
    name: Defect(name=name, summary=summary, mirrors=mirrors)
    for name, (summary, mirrors) in _TEXTS.items()
}


def check_defects(names: Iterable[str]) -> frozenset[str]:
    """Return the names as a set; raise UnknownDefectError if DEFECTS lacks one of them."""
    wanted = frozenset(names)
    unknown = sorted(wanted - DEFECTS.keys())
    if unknown:
        raise UnknownDefectError(
            f"unknown defect {', '.join(unknown)}; known are {', '.join(sorted(DEFECTS))}"
        )
    return wanted
