"""The logical point at which a fault strikes, and the events that such points are made of."""

import re
from dataclasses import dataclass
from enum import StrEnum

from chaosfuzz.domain.errors import UsageError

MAX_NTH = 1000
MAX_TASK = 999
MAX_EVENT_LENGTH = 200
# The harness as the user of the target's HTTP server.
CLIENT = "client-1"
_COMPONENT = re.compile(r"(server|worker|client)-[1-9]\d?")
_HTTP_EVENT = re.compile(r"[A-Z]+ /")


class Side(StrEnum):
    """Before: the request has not been forwarded. After: it took effect, nobody heard of it."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The nth time a component does something, on one side of it.

    After a request only those count that had an effect, so that polls that find nothing do not.

    `event` is the key of a request: verb, relation, short literals and fingerprint of a
    statement, or method and path template of an HTTP request. It is counted from when the step
    that has the moment is armed: just before the step in front of it. `component` is whose
    request it is; empty, it is that of the component which the step strikes, and the client's
    if the request is one of HTTP. With `task` only requests count that name that task of the
    schedule, by its id or token, in a parameter or (after) in a row that came back.
    """

    event: str
    nth: int = 1
    side: Side = Side.BEFORE
    component: str = ""
    task: int = 0

    def __post_init__(self) -> None:
        """Refuse what no component could ever do."""
        if not self.event.strip() or not self.event.isprintable():
            message = f"at: {self.event[:80]!r} is no event"
            raise UsageError(cause=message, remedy="name one that `chaosfuzz sweep` shows")
        if len(self.event) > MAX_EVENT_LENGTH:
            message = (
                f"at: the event has {len(self.event)} characters, more than {MAX_EVENT_LENGTH}"
            )
            raise UsageError(cause=message, remedy="shorten it")
        if not 1 <= self.nth <= MAX_NTH:
            raise UsageError(
                cause=f"at: nth={self.nth} is out of range", remedy=f"use 1 to {MAX_NTH}"
            )
        if not 0 <= self.task <= MAX_TASK:
            message = f"at: task={self.task} is out of range"
            raise UsageError(cause=message, remedy=f"use 1 to {MAX_TASK}, in order of creation")
        if self.component and not _COMPONENT.fullmatch(self.component):
            known = f"worker-1, server-1 or {CLIENT}"
            raise UsageError(
                cause=f"at: on={self.component[:80]!r} is no component", remedy=f"write {known}"
            )

    @property
    def is_http(self) -> bool:
        """Whether the event is an HTTP request, hence the client's."""
        return _HTTP_EVENT.match(self.event) is not None

    def __str__(self) -> str:
        """Show it as a person would say it."""
        times = f" #{self.nth}" if self.nth > 1 else ""
        whose = f" of {self.component}" if self.component else ""
        which = f" for task {self.task}" if self.task else ""
        return f"{self.side} {self.event}{which}{times}{whose}"


@dataclass(frozen=True, kw_only=True)
class EventClass:
    """One kind of request that components of a role make, as learned from reference runs.

    Background events (heartbeats, polls, pings) come whether there is work or not. `polled` are
    those that come in vain as well: only after one with an effect is a moment of its own.
    `most` is how often it had an effect in the life of one task; `failing` are those that only
    a task that fails brings about.
    """

    role: str
    event: str
    background: bool = False
    polled: bool = False
    failing: bool = False
    most: int = 1

    @property
    def sides(self) -> tuple[Side, ...]:
        """Return the sides on which its nth occurrence is the same moment in every run."""
        return (Side.AFTER,) if self.polled else (Side.BEFORE, Side.AFTER)


@dataclass(frozen=True, kw_only=True)
class Alphabet:
    """All kinds of requests of a target."""

    events: tuple[EventClass, ...] = ()

    def of(self, role: str) -> tuple[EventClass, ...]:
        """Return those of a role, in a fixed order."""
        return tuple(event for event in self.events if event.role == role)
