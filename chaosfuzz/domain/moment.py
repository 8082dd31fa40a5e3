"""Moments at which faults strike, and the events that they count."""

import re
from dataclasses import dataclass
from enum import StrEnum

from chaosfuzz.domain.errors import UsageError

MAX_NTH = 1000
MAX_TASK = 999
MAX_EVENT_LENGTH = 200
# The harness, as a client of the target's HTTP server.
CLIENT = "client-1"
_COMPONENT = re.compile(r"(server|worker|client)-[1-9]\d?")
_HTTP_EVENT = re.compile(r"[A-Z]+ /")


class Side(StrEnum):
    """BEFORE: the request is not forwarded yet. AFTER: it took effect; no reply is delivered."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The nth request of one kind by a component, before or after it took effect.

    - `event`: the key of the request: verb, relation, short literals and fingerprint of a
      statement, or method and path template of an HTTP request.
    - `nth`: counted since just before the step in front of the one with the moment. With AFTER,
      requests without an effect, such as polls that find nothing, do not count.
    - `component`: the one that makes the request. Empty: the client for an HTTP request, else the
      component that the step strikes.
    - `task`: if not 0, only requests count that name this task of the schedule, by its id or token,
      in a parameter or (with AFTER) in a returned row.
    """

    event: str
    nth: int = 1
    side: Side = Side.BEFORE
    component: str = ""
    task: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError for values that no request can have."""
        cause = ""
        if not self.event.strip() or not self.event.isprintable():
            cause, remedy = (
                f"{self.event[:80]!r} is no event",
                "name one that `chaosfuzz sweep` shows",
            )
        elif len(self.event) > MAX_EVENT_LENGTH:
            cause = f"the event has {len(self.event)} characters, more than {MAX_EVENT_LENGTH}"
            remedy = "name one that `chaosfuzz sweep` shows"
        elif not 1 <= self.nth <= MAX_NTH:
            cause, remedy = f"nth={self.nth} is out of range", f"use 1 to {MAX_NTH}"
        elif not 0 <= self.task <= MAX_TASK:
            cause = f"task={self.task} is out of range"
            remedy = f"use 1 to {MAX_TASK}, in order of creation"
        elif self.component and not _COMPONENT.fullmatch(self.component):
            cause = f"on={self.component[:80]!r} is no component"
            remedy = f"write worker-1, server-1 or {CLIENT}"
        if cause:
            raise UsageError(cause=f"at: {cause}", remedy=remedy)

    @property
    def is_http(self) -> bool:
        """Whether the event is an HTTP request, which only the client makes."""
        return _HTTP_EVENT.match(self.event) is not None

    def __str__(self) -> str:
        """Show the moment as a person would write it."""
        times = f" #{self.nth}" if self.nth > 1 else ""
        whose = f" of {self.component}" if self.component else ""
        which = f" for task {self.task}" if self.task else ""
        return f"{self.side} {self.event}{which}{times}{whose}"


@dataclass(frozen=True, kw_only=True)
class EventClass:
    """One kind of request that components of a role make, as learned from reference runs.

    - `background`: it comes with and without work (heartbeats, polls, pings).
    - `polled`: it also comes without an effect, so that only AFTER is the same moment in every run.
    - `failing`: only a task that fails brings it about.
    - `most`: how often it had an effect in the life of one task, at most.
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
        """Return the events of a role, in a fixed order."""
        return tuple(event for event in self.events if event.role == role)
