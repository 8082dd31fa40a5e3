"""The proxy of one lane: its ports, the moments that are awaited, and the requests seen."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.moment import Moment, Side
from chaosfuzz.domain.wire import Intervention, Request
from chaosfuzz.wire.alphabet import had_effect
from chaosfuzz.wire.component import Component, Upstream
from chaosfuzz.wire.connection import Connection
from chaosfuzz.wire.event import Event
from chaosfuzz.wire.event_loop import EventLoopThread
from chaosfuzz.wire.http_connection import HttpConnection
from chaosfuzz.wire.postgres_connection import PostgresConnection
from chaosfuzz.wire.rules import Rule, RuleController
from chaosfuzz.wire.statement import Classifier

Names = Callable[[], frozenset[str]]
# Chosen by hand: a claim that returns the task's id returns it within its first rows.
_ROWS_SEARCHED = 20
# Chosen by hand; a closed socket's last bytes take a few turns of the loop.
_DRAIN_S, _DRAIN_POLL_S = 1.0, 0.005


@dataclass(kw_only=True)
class LaneTrap:
    """One moment that is awaited, by a rule (implements Trap)."""

    component: str
    release: Callable[[], None]
    sprung_ns: int | None = None


class LaneWire:
    """Implements Wire: listens at an address of this machine, on a thread of its own."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self._controller = RuleController()
        # Components of a role run the same statements, so all share what is known of texts.
        self._classifier = Classifier()
        self._components: dict[str, Component] = {}
        self._loop = EventLoopThread()

    def route(self, component: str, upstream: Upstream) -> int:
        """Return the port that leads a component to the database.

        Raises:
            InfrastructureError: the proxy cannot listen at its address.

        """
        return self._loop.await_(self._listen(component, upstream, PostgresConnection))

    def route_http(self, component: str, port: int, host: str = "127.0.0.1") -> int:
        """Return the port that leads an HTTP client to the server; raises as `route` does."""
        return self._loop.await_(self._listen(component, (host, port), HttpConnection))

    def has_refused(self, component: str, client_port: int) -> bool:
        """Say whether the server itself refused the component's connection from a port."""
        return self._components[component].has_refused(client_port)

    def begin(self) -> None:
        """Reset for the next schedule: cut every connection, forget all rules and counts."""
        self._loop.run(self._reset)

    def started(self, component: str) -> None:
        """Count the component's events anew and accept its connections again."""
        self._loop.run(self._components[component].begin_incarnation)

    def set_trap(
        self,
        component: str,
        moment: Moment,
        intervention: Intervention,
        sprung: Callable[[], None],
        *,
        hold_ms: int,
        about: Names | None = None,
    ) -> LaneTrap:
        """Intervene when the moment comes, and call `sprung` then.

        Before a request, all requests of its kind count. After it, only requests count that had
        an effect: a claim that found nothing is a poll, and how many polls come is a matter of
        time.
        """
        controller = self._controller
        is_before = moment.side is Side.BEFORE

        def is_about(event: Event) -> bool:
            return about is None or event.mentions(about())

        def matches(event: Event) -> bool:
            is_same = (event.component, event.key) == (component, moment.event)
            return is_same and (not is_before or is_about(event))

        def acted(_event: Event) -> None:
            trap.sprung_ns = time.monotonic_ns()
            sprung()

        rule = Rule(
            matches=matches,
            intervention=intervention,
            side=moment.side,
            nth=moment.nth,
            counts_at_end=lambda event: had_effect(event.completion) and is_about(event),
            hold_ms=hold_ms,
            on_act=acted,
        )

        def add() -> None:
            if about is not None:
                controller.rows_wanted = _ROWS_SEARCHED
            controller.add(rule)

        def give_up() -> None:
            controller.remove(rule)
            rule.release()

        trap = LaneTrap(component=component, release=partial(self._loop.run, give_up))
        self._loop.run(add)
        return trap

    def freeze(self, component: str) -> None:
        """Forward nothing."""
        self._loop.run(self._components[component].freeze)

    def unfreeze(self, component: str) -> None:
        """Forward again, first what was kept back."""
        self._loop.run(self._components[component].unfreeze)

    def cut(self, component: str) -> None:
        """Break all connections of a component; stranded sessions stay."""
        self._loop.run(self._components[component].cut)

    def drain(self, component: str) -> None:
        """Wait until the component has no connection any more, one second at most."""
        found = self._components[component]
        deadline = time.monotonic() + _DRAIN_S
        while self._loop.run(lambda: found.clients) and time.monotonic() < deadline:
            time.sleep(_DRAIN_POLL_S)

    def end_stranded(self, component: str) -> None:
        """End the sessions that were stranded."""
        self._loop.run(self._components[component].end_stranded)

    def requests(self) -> Sequence[Request]:
        """Return the requests since `begin`."""
        return tuple(
            Request(
                component=event.component,
                event=event.key,
                at_ns=event.arrived_ns,
                completion=event.completion,
            )
            for event in self._loop.run(lambda: self._controller.events)
        )

    def check(self) -> None:
        """Raise InfrastructureError if the proxy itself has failed."""
        self._loop.check()

    def close(self) -> None:
        """Break every connection, free the ports and end the thread."""
        self._loop.close(self._close_components)

    async def _listen(
        self, name: str, upstream: Upstream, protocol: Callable[[Component, int], Connection]
    ) -> int:
        component = self._components.get(name)
        if component is None:
            component = Component(name, upstream, self._classifier, self._loop.report, protocol)
            component.controller = self._controller
            try:
                await component.listen(self.host)
            except OSError as error:
                raise InfrastructureError(
                    cause=f"the proxy cannot listen at {self.host} for {name}: {error}",
                    remedy="see whether that is an address of this machine, with free ports",
                ) from error
            self._components[name] = component
        component.upstream = upstream
        return component.port

    def _reset(self) -> None:
        self._controller = RuleController()
        for component in self._components.values():
            component.forget()
            component.controller = self._controller

    async def _close_components(self) -> None:
        for component in self._components.values():
            await component.close()
