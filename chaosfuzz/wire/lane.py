"""The proxy of one lane as the harness uses it: routes, traps at moments, and the requests seen."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from chaosfuzz.domain.moment import Moment, Side
from chaosfuzz.domain.wire import Grip, Request
from chaosfuzz.wire.alphabet import is_fruitful
from chaosfuzz.wire.event import Event
from chaosfuzz.wire.intervention import (
    Cut,
    Hold,
    Intervention,
    Release,
    Strike,
    Zombie,
)
from chaosfuzz.wire.mention import mentions
from chaosfuzz.wire.proxy import Proxy
from chaosfuzz.wire.rules import Rule, RuleController

Names = Callable[[], frozenset[str]]
ROWS_SEARCHED = 20
DRAIN_S, DRAIN_POLL_S = 1.0, 0.005


class LaneTrap:
    """One moment that is waited for: a rule that acts once (implements Trap).

    Before a request all of its kind count. After it only those that had an effect do: a claim
    that found nothing to claim is a poll, and how many of them come is a matter of time.
    """

    def __init__(
        self,
        component: str,
        moment: Moment,
        grip: Grip,
        sprung: Callable[[], None],
        hold_ms: int,
        about: Names | None = None,
    ) -> None:
        self.component = component
        self.sprung_ns: int | None = None
        self._sprung = sprung
        self._let_pass = Release()
        self._forget: Callable[[], None] | None = None
        self._rule = Rule(
            intervention=_intervention(grip, moment.side, self._let_pass, hold_ms),
            component=component,
            key=moment.event,
            nth=moment.nth,
            matches=_mentioning(about) if moment.side is Side.BEFORE else None,
            if_ended=_fruitful(about) if moment.side is Side.AFTER else None,
            tell=self._tell,
        )

    def set(self, controller: RuleController, proxy: Proxy) -> None:
        """Wait for the moment from now on."""
        # On the proxy's thread: else the moment could come while it is no longer waited for.
        self._forget = partial(proxy.run, partial(controller.remove, self._rule))
        controller.add(self._rule)

    def release(self) -> None:
        """Let the held request go; the moment has come by the end of this call, or never will."""
        if self._forget is not None:
            self._forget()
        self._let_pass.set()

    def _tell(self, _event: Event) -> None:
        self.sprung_ns = time.monotonic_ns()
        self._sprung()


class LaneWire:
    """Implements Wire over a Proxy that listens at an address of this machine."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self._controller = RuleController()
        self._proxy = Proxy(self._controller, host)
        self._ports: dict[str, int] = {}
        self._upstreams: dict[str, str | tuple[str, int]] = {}

    def route(self, component: str, upstream: str | tuple[str, int]) -> int:
        """Return the port that leads a component to the database."""
        if component not in self._ports:
            self._ports[component] = self._proxy.listen(component, upstream)
        elif self._upstreams[component] != upstream:
            self._proxy.redirect(component, upstream)
        self._upstreams[component] = upstream
        return self._ports[component]

    def route_http(self, component: str, port: int, host: str = "127.0.0.1") -> int:
        """Return the port that leads an HTTP client to the server."""
        server = (host, port)
        if component in self._ports:
            self._proxy.redirect(component, server)
        else:
            self._ports[component] = self._proxy.listen_http(component, server)
        return self._ports[component]

    def has_refused(self, component: str, client_port: int) -> bool:
        """Say whether the server itself refused the component's connection from a port."""
        return self._proxy.has_refused(component, client_port)

    def begin(self) -> None:
        """Forget everything, for another schedule."""
        self._controller = RuleController()
        self._proxy.use(self._controller)

    def started(self, component: str) -> None:
        """Take note that the component's process has been started anew."""
        self._proxy.new_incarnation(component)

    def set_trap(
        self,
        component: str,
        moment: Moment,
        grip: Grip,
        sprung: Callable[[], None],
        *,
        hold_ms: int,
        about: Names | None = None,
    ) -> LaneTrap:
        """Grip when the moment comes, and tell."""
        if about is not None:
            self._controller.rows_wanted = ROWS_SEARCHED
        trap = LaneTrap(component, moment, grip, sprung, hold_ms, about)
        trap.set(self._controller, self._proxy)
        return trap

    def freeze(self, component: str) -> None:
        """Let nothing pass."""
        self._proxy.freeze(component)

    def thaw(self, component: str) -> None:
        """Let pass again."""
        self._proxy.thaw(component)

    def cut(self, component: str) -> None:
        """Break all connections of a component; stranded sessions stay."""
        self._proxy.cut(component)

    def drain(self, component: str) -> None:
        """Let pass what one that has ended sent before, until it has no connection any more."""
        deadline = time.monotonic() + DRAIN_S
        while self._proxy.clients(component) and time.monotonic() < deadline:
            time.sleep(DRAIN_POLL_S)

    def end_stranded(self, component: str) -> None:
        """End the sessions that were stranded."""
        self._proxy.end_zombies(component)

    def requests(self) -> Sequence[Request]:
        """Return the requests since `begin`."""
        ended_ns = self._controller.ended_ns()
        return tuple(
            Request(
                component=event.component,
                event=event.key,
                at_ns=at_ns,
                completion=event.completion,
                ended_ns=ended_ns.get(event),
            )
            for at_ns, event in self._controller.arrived()
        )

    def check(self) -> None:
        """Raise InfrastructureError if the proxy itself has failed."""
        self._proxy.check()

    def close(self) -> None:
        """Break everything and free the ports."""
        self._proxy.close()


def _intervention(grip: Grip, side: Side, release: Release, hold_ms: int) -> Intervention:
    if grip is Grip.FREEZE:
        return Strike(action=_nothing, side=side, abort=False)
    if grip is Grip.CUT:
        return Cut(side=side)
    if grip is Grip.STRAND:
        return Zombie(side=side)
    return Hold(release=release, deadline_ms=hold_ms, side=side)


def _mentioning(about: Names | None) -> Callable[[Event], bool] | None:
    return None if about is None else lambda event: mentions(event, about())


def _fruitful(about: Names | None) -> Callable[[Event], bool]:
    """Return what says that an event had an effect, on what it is to be about."""
    return lambda event: (
        is_fruitful(event.completion) and (about is None or mentions(event, about()))
    )


def _nothing(_event: Event) -> None:
    """The strike is done by whoever is told of it, while the component is frozen."""
