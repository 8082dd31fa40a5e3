"""A component as the proxy sees it: a listening port and the connections to it."""

import asyncio
from collections import Counter
from collections.abc import Callable

from chaosfuzz.wire.connection import Connection
from chaosfuzz.wire.endpoint import Endpoint
from chaosfuzz.wire.event import Event, RequestKind
from chaosfuzz.wire.rules import RuleController
from chaosfuzz.wire.statement import Classifier, Statement

Upstream = tuple[str, int] | str
_BACKLOG = 128


class Component:
    """Accepts a component's connections and counts its events by key, over all of them.

    All methods run on the proxy's event loop. `upstream` is where the server listens: host and
    port, or the path of a unix socket; a change holds for connections made later.
    """

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        classifier: Classifier,
        report: Callable[[str, BaseException], None],
        protocol: "Callable[[Component, int], Connection]",
    ) -> None:
        self.name = name
        self.upstream = upstream
        self.port = 0
        self.incarnation = 0
        self.classifier = classifier
        self.controller = RuleController()
        self.report = report
        self._protocol = protocol
        self._refused_ports: set[int] = set()
        self._is_frozen = False
        self._connections: dict[Connection, None] = {}
        self._last_number = 0
        self._counts: Counter[str] = Counter()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.get_running_loop()

    async def listen(self, host: str) -> None:
        """Listen at a free port, which `port` has from then on; raises OSError."""
        self._listener = await self._loop.create_server(self._accept, host, 0, backlog=_BACKLOG)
        self.port = int(self._listener.sockets[0].getsockname()[1])

    def begin_incarnation(self) -> None:
        """Count events anew and accept connections again; old connections stay as they are."""
        self.incarnation += 1
        self._is_frozen = False
        self._counts.clear()

    def forget(self) -> None:
        """Reset for the next schedule: break every connection, count from zero."""
        self._break_all()
        self.incarnation = 0
        self._is_frozen = False
        self._counts.clear()
        self._refused_ports.clear()

    def freeze(self) -> None:
        """Stop forwarding on all connections, and on new ones too."""
        self._is_frozen = True
        for connection in self._connections:
            if not connection.is_stranded:
                connection.freeze()

    def unfreeze(self) -> None:
        """Forward again on all connections."""
        self._is_frozen = False
        for connection in self._connections:
            connection.unfreeze()

    def cut(self) -> None:
        """Break every connection that has a client; stranded sessions stay."""
        for connection in tuple(self._connections):
            if not connection.is_stranded:
                connection.abort(reset=True)

    @property
    def clients(self) -> int:
        """How many connections have a client."""
        return sum(not connection.is_stranded for connection in self._connections)

    def end_stranded(self) -> None:
        """End the sessions whose clients were dropped."""
        for connection in tuple(self._connections):
            if connection.is_stranded:
                connection.abort()

    async def close(self) -> None:
        """Stop listening and break every connection."""
        if self._listener is not None:
            self._listener.close()
        self._break_all()
        if self._listener is not None:
            await self._listener.wait_closed()

    def note_refused(self, client_port: int) -> None:
        """Remember that the server refused a client which the proxy had accepted."""
        self._refused_ports.add(client_port)

    def has_refused(self, client_port: int) -> bool:
        """Say whether the server refused the last connection from a client's port."""
        return client_port in self._refused_ports

    async def dial(self, endpoint: Endpoint) -> None:
        """Connect an endpoint to the server; raises OSError if the server refuses."""
        if isinstance(self.upstream, str):
            await self._loop.create_unix_connection(lambda: endpoint, self.upstream)
        else:
            await self._loop.create_connection(lambda: endpoint, *self.upstream)

    def new_event(
        self,
        incarnation: int,
        kind: RequestKind,
        statement: Statement,
        *,
        key: str = "",
        text: bytes = b"",
        bind: bytes | None = None,
    ) -> Event:
        """Count a request and return its event, with the statement's key unless one is given.

        A request on a connection of an earlier incarnation is not counted; its `nth` is 0.
        """
        key = key or statement.key
        is_current = incarnation == self.incarnation
        self._counts[key] += is_current
        return Event(
            component=self.name,
            kind=kind,
            statement=statement,
            key=key,
            nth=self._counts[key] if is_current else 0,
            text=text,
            bind=bind,
        )

    def add_connection(self, connection: Connection) -> None:
        """Take a connection that a client has made; freeze it if the component is frozen."""
        self._connections[connection] = None
        self._refused_ports.discard(connection.client.remote_port)
        if self._is_frozen:
            connection.freeze()

    def remove_connection(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._connections.pop(connection, None)

    def _accept(self) -> Endpoint:
        self._last_number += 1
        return self._protocol(self, self._last_number).client

    def _break_all(self) -> None:
        for connection in tuple(self._connections):
            connection.abort(reset=True)
