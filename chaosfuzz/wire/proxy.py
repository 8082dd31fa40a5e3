"""The proxy of one lane: an event loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import TracebackType
from typing import Any, Self, TypeVar

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.wire.component import Component, Upstream
from chaosfuzz.wire.connection import Connection
from chaosfuzz.wire.http_connection import HttpConnection
from chaosfuzz.wire.intervention import Controller, LetPass
from chaosfuzz.wire.link import Link
from chaosfuzz.wire.statement import Classifier

Result = TypeVar("Result")

_CALL_TIMEOUT_S = 10.0
_CLOSING_TURNS = 20


class Proxy:
    """Listens for components, forwards to PostgreSQL or an HTTP server; safe to use from threads.

    What goes wrong in the proxy itself is kept until `check` raises it. That a client or a
    server breaks a connection is not such a thing.
    """

    def __init__(self, controller: Controller | None = None, host: str = "127.0.0.1") -> None:
        self._controller = controller or LetPass()
        self.host = host
        self._components: dict[str, Component] = {}
        self._problems: list[tuple[str, BaseException | None]] = []
        self._is_closed = False
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._unhandled)
        self._thread = threading.Thread(target=self._run, name="chaosfuzz-wire", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def listen(self, component: str, upstream: Upstream, port: int = 0) -> int:
        """Listen for a component at the proxy's address; return the port.

        `upstream` is host and port, or the path of a unix socket.

        Raises:
            InfrastructureError: the port cannot be had.
            UsageError: the component has a port already.

        """
        return self._call(self._listen, component, upstream, port, Connection)

    def listen_http(self, component: str, upstream: Upstream, port: int = 0) -> int:
        """Listen for a component that is a client of an HTTP server; see `listen`."""
        return self._call(self._listen, component, upstream, port, HttpConnection)

    def redirect(self, component: str, upstream: Upstream) -> None:
        """Lead the connections that a component opens from now on to another server."""
        self._on(component, lambda found: found.redirect(upstream))

    def has_refused(self, component: str, client_port: int) -> bool:
        """Say whether the server refused what the component's last connection from a port led to.

        The proxy accepts before it knows; a client that wants to tell the two apart asks here.
        """
        return self._on(component, lambda found: found.has_refused(client_port))

    def use(self, controller: Controller) -> None:
        """Begin anew for another schedule: cut all, forget all counts, ask this controller."""

        async def begin() -> None:
            self._controller = controller
            for component in self._components.values():
                component.forget()
                component.controller = controller

        self._call(begin)

    def run(self, function: Callable[[], None]) -> None:
        """Run a function on the proxy's thread, where no event is being decided meanwhile."""

        async def call() -> None:
            function()

        self._call(call)

    def new_incarnation(self, component: str) -> int:
        """Say that the component's process is started anew; return the incarnation's number."""
        return self._on(component, Component.begin_incarnation)

    def freeze(self, component: str) -> None:
        """Forward nothing more for the component, until `thaw`."""
        self._on(component, Component.freeze)

    def thaw(self, component: str) -> None:
        """Let a frozen component go on; what was kept back is forwarded in order."""
        self._on(component, Component.thaw)

    def cut(self, component: str) -> None:
        """Break all the component's connections, but leave zombies."""
        self._on(component, Component.cut)

    def clients(self, component: str) -> int:
        """Return how many connections of a component have a client."""
        return self._on(component, lambda found: found.clients)

    def cut_all(self, component: str) -> None:
        """Break all the component's connections, zombies too."""
        self._on(component, Component.cut_all)

    def end_zombies(self, component: str) -> None:
        """End the component's sessions whose clients are gone."""
        self._on(component, Component.end_zombies)

    def close_component(self, component: str) -> None:
        """Break all the component's connections and free its port."""

        async def close() -> None:
            await self._components.pop(component).close()

        self._find(component)
        self._call(close)

    def check(self) -> None:
        """Raise what has gone wrong in the proxy since the last check.

        Raises:
            InfrastructureError: the proxy has failed; what was seen through it proves nothing.

        """
        if self._problems:
            problems, self._problems = self._problems, []
            message, error = problems[0]
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise InfrastructureError(
                cause=f"the proxy: {message}{more}",
                remedy="run again, and report it with the log if it recurs",
            ) from error
        if not self._is_closed and not self._thread.is_alive():
            raise InfrastructureError(
                cause="the proxy's thread has ended",
                remedy="run again, and report it with the log if it recurs",
            )

    def close(self) -> None:
        """Break everything and end the thread."""
        if self._is_closed:
            return
        try:
            self._call(self._close_components)
        finally:
            self._is_closed = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CALL_TIMEOUT_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _listen(
        self,
        name: str,
        upstream: Upstream,
        port: int,
        protocol: Callable[[Component, int], Link],
    ) -> int:
        if name in self._components:
            raise UsageError(
                cause=f"component {name!r} has a port already", remedy="close it first"
            )
        component = Component(name, upstream, self._classifier(), self._report, protocol)
        component.controller = self._controller
        try:
            bound = await component.listen(self.host, port)
        except OSError as error:
            raise InfrastructureError(
                cause=f"the proxy cannot listen at {self.host} port {port} for {name}: {error}",
                remedy="free the port, or run fewer lanes (--lanes)",
            ) from error
        self._components[name] = component
        return bound

    def _classifier(self) -> Classifier:
        # One memory of texts for all: components of a role run the same statements.
        for component in self._components.values():
            return component.classifier
        return Classifier()

    async def _close_components(self) -> None:
        for component in self._components.values():
            await component.close()
        self._components.clear()
        # Sockets are closed in turns of their own after an abort.
        for _ in range(_CLOSING_TURNS):
            await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _find(self, component: str) -> Component:
        try:
            return self._components[component]
        except KeyError:
            known = ", ".join(self._components) or "none"
            raise UsageError(
                cause=f"unknown component {component!r}", remedy=f"choose among: {known}"
            ) from None

    def _on(self, name: str, function: Callable[[Component], Result]) -> Result:
        component = self._find(name)

        async def call() -> Result:
            return function(component)

        return self._call(call)

    def _call(self, function: Callable[..., Awaitable[Result]], *arguments: object) -> Result:
        if self._is_closed or not self._thread.is_alive():
            raise InfrastructureError(
                cause="the proxy has been closed, so it takes no orders", remedy="open another lane"
            )

        async def call() -> Result:
            return await function(*arguments)

        future = asyncio.run_coroutine_threadsafe(call(), self._loop)
        try:
            return future.result(_CALL_TIMEOUT_S)
        except FutureTimeoutError as error:
            raise InfrastructureError(
                cause=f"the proxy did not answer within {_CALL_TIMEOUT_S:g} s",
                remedy=(
                    "run fewer lanes (--lanes) if the machine is busy; else report it with the log"
                ),
            ) from error

    def _report(self, message: str, error: BaseException | None) -> None:
        self._problems.append((message, error))

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._report(f"{context.get('message')}: {error!r}", error)
