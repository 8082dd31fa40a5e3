"""What the harness can do to the connections between components and their servers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from chaosfuzz.domain.moment import Moment


class Intervention(StrEnum):
    """What the proxy does when the moment of a request has come.

    The side of the moment says when that is. BEFORE: the request has arrived at the proxy and
    is not forwarded. AFTER: the server has executed the request and the proxy has not delivered
    the reply. For a simple query and a statement outside a transaction block, the server has
    executed it at ReadyForQuery; for an extended query inside a block, at CommandComplete; for
    an HTTP request, at the end of the response. Of a reply longer than 1 MB the beginning is
    delivered all the same.

    FREEZE stops forwarding on all connections of the component until `unfreeze`. CUT breaks the
    one connection. HOLD keeps back the one request or its reply for a time. STRAND drops the
    client and keeps the server's session.
    """

    FREEZE = "freeze"
    CUT = "cut"
    HOLD = "hold"
    STRAND = "strand"


class Trap(Protocol):
    """A moment that the proxy waits for."""

    @property
    def component(self) -> str:
        """The component that makes the request."""
        ...

    @property
    def sprung_ns(self) -> int | None:
        """When the moment came, in monotonic time; None if it has not come."""
        ...

    def release(self) -> None:
        """End a hold, and wait for the moment no longer.

        If the moment has not come when this returns, it will not come.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request that a component made.

    `event` is its key; see Moment. `at_ns` is when it arrived at the proxy, in monotonic time.
    `completion` is how it ended: command tags, SQLSTATE, HTTP status, SKIPPED (by an earlier
    error of its pipeline) or CUT (the connection was lost); empty while it has not ended.
    """

    component: str
    event: str
    at_ns: int
    completion: str = ""


class Wire(Protocol):
    """The proxy of one lane.

    Every component reaches the database by a port of its own, and the harness's client reaches
    the HTTP server by one. The proxy reads the protocol and forwards the bytes unmodified.
    Except for `route` and `route_http`, a method that takes a component needs one with a port.
    """

    @property
    def host(self) -> str:
        """The address at which the proxy listens."""
        ...

    def route(self, component: str, upstream: str | tuple[str, int]) -> int:
        """Return the port that leads a component to the database, the same at every call.

        `upstream` is the path of the database's unix socket, or its host and port. Connections
        made from now on lead to it.
        """
        ...

    def route_http(self, component: str, port: int, host: str = "127.0.0.1") -> int:
        """Return the port that leads a client to the HTTP server at `host` and `port`.

        The port is the same at every call. Connections made from now on lead to that server.
        """
        ...

    def has_refused(self, component: str, client_port: int) -> bool:
        """Say whether the server refused the client's last connection from a port.

        The proxy accepts a connection before it asks the server, so a client whose connection
        is reset cannot tell a refusal from a reset.
        """
        ...

    def begin(self) -> None:
        """Reset for the next schedule: close every connection, remove traps, count from zero."""
        ...

    def started(self, component: str) -> None:
        """Note that the component's process was started anew: count its events from zero."""
        ...

    def set_trap(
        self,
        component: str,
        moment: Moment,
        intervention: Intervention,
        sprung: Callable[[], None],
        *,
        hold_ms: int,
        about: Callable[[], frozenset[str]] | None = None,
    ) -> Trap:
        """Intervene once, when the moment comes, and then call `sprung` on the proxy's thread.

        A HOLD ends by itself after `hold_ms` milliseconds. With `about`, only requests count
        that mention one of the names that `about` returns.
        """
        ...

    def freeze(self, component: str) -> None:
        """Forward nothing on any connection of the component; new connections wait too."""
        ...

    def unfreeze(self, component: str) -> None:
        """Forward again, first what was kept back, in order."""
        ...

    def cut(self, component: str) -> None:
        """Break all connections of the component; stranded sessions stay."""
        ...

    def drain(self, component: str) -> None:
        """Forward what a component sent before it ended; wait for that one second at most.

        A kernel does the same for a process that has exited.
        """
        ...

    def end_stranded(self, component: str) -> None:
        """End the sessions that STRAND has kept."""
        ...

    def requests(self) -> Sequence[Request]:
        """Return the requests since `begin`, in the order of their arrival."""
        ...

    def check(self) -> None:
        """Raise InfrastructureError if the proxy itself has failed since the last check."""
        ...

    def close(self) -> None:
        """Break every connection and free the ports."""
        ...


@runtime_checkable
class Trappable(Protocol):
    """Has a proxy before its components, so that faults can strike at moments."""

    def set_trap(
        self,
        component: str,
        moment: Moment,
        intervention: Intervention,
        sprung: Callable[[], None],
        *,
        hold_ms: int,
        about: Callable[[], frozenset[str]] | None = None,
    ) -> Trap | None:
        """See Wire.set_trap; None if the system runs without a proxy, so no moment can come."""
        ...

    def unfreeze(self, component: str) -> None:
        """Unfreeze a component that a trap froze; if it is paused, when it is resumed."""
        ...

    def requests(self) -> Sequence[Request]:
        """Return the requests of all components so far, in the order of their arrival."""
        ...


@runtime_checkable
class Disconnectable(Protocol):
    """Can cut its components off from the database."""

    def cut(self, component: str) -> bool:
        """Break all connections of a component. Return False if it does not run."""
        ...

    def hold(self, component: str, for_ms: int) -> bool:
        """Forward nothing for `for_ms` milliseconds; with 0, until `release`.

        Returns False if the component does not run or is held already.
        """
        ...

    def release(self, component: str) -> bool:
        """End a hold. Return False if the component is not held."""
        ...

    def end_stranded(self, component: str) -> None:
        """End the database sessions whose client was dropped by STRAND."""
        ...
