"""What stands between components and their database, and lets go of a request or not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from chaosfuzz.domain.moment import Moment


class Grip(StrEnum):
    """What is done to the connection whose request has come to the moment.

    FREEZE keeps all of the component's connections still until it is let go. CUT breaks the one
    connection. HOLD keeps the one request or its reply. STRAND drops the client and leaves the
    database's session as it is.
    """

    FREEZE = "freeze"
    CUT = "cut"
    HOLD = "hold"
    STRAND = "strand"


class Trap(Protocol):
    """A moment that is waited for."""

    @property
    def component(self) -> str:
        """Whose request it is."""
        ...

    @property
    def sprung_ns(self) -> int | None:
        """When the moment came, by the monotonic clock; None if it has not."""
        ...

    def release(self) -> None:
        """Let a held request go, and wait for the moment no longer.

        If it has not come when this returns, it does not come any more.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request that a component made.

    `completion` says how it ended: a command tag, SQLSTATE or HTTP status; empty if it has not.
    `ended_ns` is when, by the monotonic clock, and None if it has not.
    """

    component: str
    event: str
    at_ns: int
    completion: str = ""
    ended_ns: int | None = None


class Wire(Protocol):
    """The proxy of one lane: every component reaches the database through its own port.

    So does the harness's client reach the HTTP server.
    """

    @property
    def host(self) -> str:
        """The address at which it listens."""
        ...

    def route(self, component: str, upstream: str | tuple[str, int]) -> int:
        """Return the port that leads a component to the database.

        `upstream` is the path of its socket, or host and port.
        """
        ...

    def route_http(self, component: str, port: int, host: str = "127.0.0.1") -> int:
        """Return the port that leads a client to the HTTP server at another one.

        Asked again, it leads to that server from then on.
        """
        ...

    def has_refused(self, component: str, client_port: int) -> bool:
        """Say whether it was the server that refused a client's connection from a port.

        The wire accepts before it knows; without it the client would not have been connected.
        """
        ...

    def begin(self) -> None:
        """Forget everything, for another schedule."""
        ...

    def started(self, component: str) -> None:
        """Take note that the component's process has been started anew."""
        ...

    def set_trap(
        self,
        component: str,
        moment: Moment,
        grip: Grip,
        sprung: Callable[[], None],
        *,
        hold_ms: int,
        about: Callable[[], frozenset[str]] | None = None,
    ) -> Trap:
        """Grip when the moment comes, and call `sprung` then, once, from another thread.

        A HOLD ends by itself after `hold_ms`. With `about` only requests count that mention one
        of the names it gives.
        """
        ...

    def freeze(self, component: str) -> None:
        """Let nothing pass."""
        ...

    def thaw(self, component: str) -> None:
        """Let pass again what has been kept back, in order."""
        ...

    def cut(self, component: str) -> None:
        """Break all connections of a component; stranded sessions stay."""
        ...

    def drain(self, component: str) -> None:
        """Let pass what one that has ended sent before, as a kernel does; a second at most."""
        ...

    def end_stranded(self, component: str) -> None:
        """End the sessions that a STRAND has left behind."""
        ...

    def requests(self) -> Sequence[Request]:
        """Return the requests since `begin`, in order."""
        ...

    def check(self) -> None:
        """Raise InfrastructureError if the proxy itself has failed."""
        ...

    def close(self) -> None:
        """Break everything and free the ports."""
        ...


@runtime_checkable
class Trappable(Protocol):
    """Can be struck at moments."""

    def set_trap(
        self,
        component: str,
        moment: Moment,
        grip: Grip,
        sprung: Callable[[], None],
        *,
        hold_ms: int,
        about: Callable[[], frozenset[str]] | None = None,
    ) -> Trap | None:
        """See Wire.set_trap; None if no moment can come, as there is no wire."""
        ...

    def let_go(self, component: str) -> None:
        """Thaw a component that a trap froze, unless it has been paused since."""
        ...

    def requests(self) -> Sequence[Request]:
        """Return the requests of all components so far, in order."""
        ...


@runtime_checkable
class Disconnectable(Protocol):
    """Can have its components cut off from the database."""

    def cut(self, component: str) -> bool:
        """Break all its connections; False if it does not run."""
        ...

    def hold(self, component: str, for_ms: int) -> bool:
        """Let nothing pass for a while, 0: until released; False if it does not run or is held."""
        ...

    def release(self, component: str) -> bool:
        """Let pass again; False if it is not held."""
        ...

    def end_stranded(self, component: str) -> None:
        """End the database's sessions that a component was cut off from and does not know of."""
        ...
