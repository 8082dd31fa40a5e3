"""Replies to client requests, and the outcomes that they mean."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """OK happened, FAILED certainly did not happen, UNKNOWN may have happened."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Reception(StrEnum):
    """How far a request got, as far as the client knows."""

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
    """Return the outcome that a reply means, as the error table of Maelstrom does.

    OK for 2xx; FAILED for 4xx and for a request that was never sent; UNKNOWN for all others.
    """
    if reply.reception is Reception.NEVER_SENT:
        return Outcome.FAILED
    if reply.reception is Reception.SENT_WITHOUT_ANSWER or reply.status is None:
        return Outcome.UNKNOWN
    if 200 <= reply.status < 300:
        return Outcome.OK
    # A 5xx may come after the write was committed, so it proves nothing.
    return Outcome.FAILED if 400 <= reply.status < 500 else Outcome.UNKNOWN
