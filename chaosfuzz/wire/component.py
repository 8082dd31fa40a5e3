"""A component as the proxy sees it: a listening port, incarnations, and its connections."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from enum import Enum

from chaosfuzz.wire.connection import Connection
from chaosfuzz.wire.event import Event
from chaosfuzz.wire.intervention import Controller, LetPass, Strike
from chaosfuzz.wire.link import Link
from chaosfuzz.wire.requests import Request
from chaosfuzz.wire.side import Side
from chaosfuzz.wire.statement import Classifier

Upstream = tuple[str, int] | str
_BACKLOG = 128


class _State(Enum):
    RUNNING = "running"
    FROZEN = "frozen"
    STRUCK = "struck"


class Component:
    """Lives on its event loop; counts keys over all its connections."""

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        classifier: Classifier,
        report: Callable[[str, BaseException], None],
        protocol: "Callable[[Component, int], Link]" = Connection,
    ) -> None:
        self.name = name
        self.incarnation = 0
        self.classifier = classifier
        self.controller: Controller = LetPass()
        self.report = report
        self._protocol = protocol
        self._upstream = upstream
        self._refused_ports: set[int] = set()
        self._state = _State.RUNNING
        self._connections: dict[Link, None] = {}
        self._last_number = 0
        self._counts: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.get_running_loop()

    async def listen(self, host: str, port: int) -> int:
        """Listen at an address; return the port."""
        self._listener = await self._loop.create_server(self._accept, host, port, backlog=_BACKLOG)
        return int(self._listener.sockets[0].getsockname()[1])

    def begin_incarnation(self) -> int:
        """Count keys anew and take connections again; old connections stay as they are."""
        self.incarnation += 1
        self._state = _State.RUNNING
        self._counts.clear()
        return self.incarnation

    def forget(self) -> None:
        """Start its life anew, for another schedule: no incarnation, no counts."""
        self.cut_all()
        self.incarnation = 0
        self._state = _State.RUNNING
        self._counts.clear()
        self._totals.clear()
        self._refused_ports.clear()

    def freeze(self) -> None:
        """Stop forwarding on all connections; new ones wait."""
        self._state = _State.FROZEN
        for connection in self._connections:
            if not connection.is_zombie:
                connection.freeze()

    def thaw(self) -> None:
        """Forward again on all connections, and take new ones."""
        self._state = _State.RUNNING
        for connection in self._connections:
            connection.thaw()

    def strike(self, strike: Strike, event: Event) -> None:
        """Do what a Strike says."""
        self.freeze()
        try:
            strike.action(event)
        except Exception as error:  # noqa: BLE001 - raised again by Proxy.check
            self.report(f"the action of a strike at {event.key} failed: {error!r}", error)
        if strike.abort:
            self._state = _State.STRUCK
            self.cut()
        elif not strike.stay_frozen:
            self.thaw()

    def cut(self) -> None:
        """Break every connection that has a client: a zombie's session outlives it."""
        for connection in tuple(self._connections):
            if not connection.is_zombie:
                connection.abort(reset=True)

    @property
    def clients(self) -> int:
        """How many connections have a client."""
        return sum(not connection.is_zombie for connection in self._connections)

    def cut_all(self) -> None:
        """Break every connection."""
        for connection in tuple(self._connections):
            connection.abort(reset=True)

    def end_zombies(self) -> None:
        """End the sessions whose clients are gone."""
        for connection in tuple(self._connections):
            if connection.is_zombie:
                connection.abort()

    async def close(self) -> None:
        """Stop listening and break every connection."""
        if self._listener is not None:
            self._listener.close()
        self.cut_all()
        if self._listener is not None:
            await self._listener.wait_closed()

    def redirect(self, upstream: Upstream) -> None:
        """Connect to another server from now on."""
        self._upstream = upstream

    def refused(self, client_port: int) -> None:
        """Remember a client that was accepted here and refused by the server."""
        self._refused_ports.add(client_port)

    def has_refused(self, client_port: int) -> bool:
        """Say whether the last connection from a client's port was refused by the server."""
        return client_port in self._refused_ports

    async def dial(self, side: Side) -> None:
        """Connect a side to the server.

        Raises:
            OSError: the server refuses or is not there.

        """
        if isinstance(self._upstream, str):
            await self._loop.create_unix_connection(lambda: side, self._upstream)
        else:
            host, port = self._upstream
            await self._loop.create_connection(lambda: side, host, port)

    def call_on_loop(self, callback: Callable[[], None]) -> None:
        """Call soon on the loop, from whatever thread; not at all once it is closed."""
        # Raised when the loop has been closed: nothing is held any more then.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback)

    def new_event(self, request: Request, incarnation: int, connection: int) -> Event:
        """Count a request and make its event."""
        key = request.key
        self._totals[key] += 1
        # A connection of an old incarnation no longer counts among those of the new one.
        is_current = incarnation == self.incarnation
        if is_current:
            self._counts[key] += 1
        return Event(
            component=self.name,
            incarnation=incarnation,
            connection=connection,
            kind=request.kind,
            statement=request.statement,
            key=key,
            nth=self._counts[key] if is_current else 0,
            total=self._totals[key],
            text=request.text,
            bind=request.bind,
        )

    def joined(self, connection: Link) -> None:
        """Take a client's connection, or treat it as the state demands."""
        self._connections[connection] = None
        self._refused_ports.discard(connection.client.peer_port)
        if self._state is _State.STRUCK:
            connection.abort(reset=True)
        elif self._state is _State.FROZEN:
            connection.freeze()

    def left(self, connection: Link) -> None:
        """Forget a connection that has ended."""
        self._connections.pop(connection, None)

    def _accept(self) -> Side:
        self._last_number += 1
        return self._protocol(self, self._last_number).client
