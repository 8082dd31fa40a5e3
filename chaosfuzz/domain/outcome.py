"""What became of one client operation, and the one table that says so."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """OK happened, FAILED certainly did not happen, UNKNOWN may have happened."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Reception(StrEnum):
    """How far a request got, as seen by the client."""

    ANSWERED = "answered"
    NEVER_SENT = "never-sent"
    SENT_WITHOUT_ANSWER = "sent-without-answer"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The answer to one request, or the lack of it; `listed` are the ids of a list of tasks."""

    reception: Reception
    status: int | None = None
    task_id: str | None = None
    detail: str = ""
    sent_ns: int = 0
    ended_ns: int = 0
    listed: tuple[str, ...] = ()
    total: int | None = None


def classify(reply: Reply) -> Outcome:
    """Map a reply to its outcome; decided here alone, as in the error table of Maelstrom."""
    if reply.reception is Reception.NEVER_SENT:
        return Outcome.FAILED
    if reply.reception is Reception.SENT_WITHOUT_ANSWER or reply.status is None:
        return Outcome.UNKNOWN
    if 200 <= reply.status < 300:
        return Outcome.OK
    # A 5xx may come after the write was committed, so it proves nothing.
    return Outcome.FAILED if 400 <= reply.status < 500 else Outcome.UNKNOWN
