"""What can be done at an event, and who decides it.

AFTER is ReadyForQuery for a simple query and for a statement that commits by itself,
CommandComplete for an extended one inside a transaction block, and the end of the response to an
HTTP request. The reply is not delivered before that, unless it is longer than 1 MB: then its
beginning is.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chaosfuzz.domain.moment import Side
from chaosfuzz.wire.event import Event


class Release:
    """Lets held requests go; can be set from any thread, once and for all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._is_set = False

    @property
    def is_set(self) -> bool:
        """Whether it has been set."""
        return self._is_set

    def set(self) -> None:
        """Let go everything that waits for it, now and later."""
        with self._lock:
            self._is_set = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def call_when_set(self, callback: Callable[[], None]) -> None:
        """Call back, on the thread that sets it, or at once if it is set."""
        with self._lock:
            if not self._is_set:
                self._callbacks.append(callback)
                return
        callback()


@dataclass(frozen=True, kw_only=True)
class Strike:
    """Freeze all the component's connections, then call `action`, then abort them.

    For the database that is atomic: nothing the component sent after the moment arrives. Until
    its next incarnation the component's connections are refused. Without `abort` nothing is cut
    and all stays frozen until `thaw`; with `stay_frozen` false too, it goes on at once.
    """

    action: Callable[[Event], None]
    side: Side = Side.BEFORE
    abort: bool = True
    stay_frozen: bool = True


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Break the connection: before, without forwarding; after, without delivering the reply."""

    side: Side = Side.BEFORE


@dataclass(frozen=True, kw_only=True)
class Zombie:
    """Drop the client while the database keeps the session, until `cut_all`."""

    side: Side = Side.BEFORE


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Keep back the request or its reply until released or `deadline_ms` is over, then `then`.

    `decide` is asked at that time, instead of `then`, what is done next.
    """

    release: Release
    deadline_ms: float
    side: Side = Side.BEFORE
    then: "Intervention | None" = None
    decide: "Callable[[Event], Intervention | None] | None" = None


@dataclass(frozen=True, kw_only=True)
class Delay:
    """Keep back the request or its reply for `delay_ms`."""

    delay_ms: float
    side: Side = Side.BEFORE


Intervention = Strike | Cut | Zombie | Hold | Delay


class Controller(Protocol):
    """Decides about every event. Called on the proxy's own thread: it must not block."""

    def before(self, event: Event) -> Intervention | None:
        """Decide what is done at an event that has arrived and was not yet forwarded."""
        ...

    def done(self, event: Event) -> None:
        """Take note that an event has ended; called before an AFTER intervention acts.

        `event.after` is what will act: the controller may still replace it or set it to None.
        """
        ...

    def acted(self, event: Event, intervention: Intervention) -> None:
        """Take note that an intervention has acted; of a hold or delay, that it has begun."""
        ...


class LetPass:
    """The controller that does nothing."""

    def before(self, event: Event) -> Intervention | None:
        """Let it go on."""
        return None

    def done(self, event: Event) -> None:
        """Take no note."""

    def acted(self, event: Event, intervention: Intervention) -> None:
        """Take no note."""
