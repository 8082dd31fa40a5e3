"""The proxy of one lane as the harness uses it: routes, traps at moments, and the requests seen."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaosfuzz.domain.moment import Moment
from chaosfuzz.domain.moment import Side as MomentSide
from chaosfuzz.domain.wire import Grip, Request
from chaosfuzz.wire.alphabet import is_fruitful
from chaosfuzz.wire.event import Event
from chaosfuzz.wire.intervention import (
    Cut,
    Hold,
    Intervention,
    Release,
    Side,
    Strike,
    Zombie,
)
from chaosfuzz.wire.proxy import Proxy

_TRACE_REQUESTS = 50_000
_SIDES = {MomentSide.BEFORE: Side.BEFORE, MomentSide.AFTER: Side.AFTER}


@dataclass(eq=False, kw_only=True)
class LaneTrap:
    """One moment that is waited for (implements Trap)."""

    component: str
    key: str
    nth: int
    intervention: Intervention
    tell: Callable[[], None]
    let_pass: Release
    seen: int = 0
    sprung_ns: int | None = None
    is_set: bool = True

    def is_about(self, event: Event) -> bool:
        """Say whether an event may be the moment."""
        waits = self.is_set and self.sprung_ns is None
        return waits and event.component == self.component and event.key == self.key

    def counts(self) -> bool:
        """Count one more event; say whether it is the moment."""
        self.seen += 1
        return self.seen == self.nth

    def release(self) -> None:
        """Let the held request go; wait for the moment no longer."""
        self.is_set = False
        self.let_pass.set()


class TrapController:
    """Springs traps and keeps a trace (implements Controller).

    Before a request all of its kind count. After it only those that had an effect do: a claim
    that found nothing to claim is a poll, and how many of them come is a matter of time.
    """

    def __init__(self) -> None:
        self._traps: tuple[LaneTrap, ...] = ()
        self._gripping: dict[Event, LaneTrap] = {}
        self._trace: deque[tuple[int, Event]] = deque(maxlen=_TRACE_REQUESTS)

    def add(self, trap: LaneTrap) -> None:
        """Wait for one more moment."""
        self._traps = (*self._traps, trap)

    def before(self, event: Event) -> Intervention | None:
        """Spring what waits before this event; make ready what may spring after it."""
        self._trace.append((time.monotonic_ns(), event))
        afterwards = None
        for trap in self._traps:
            if trap.is_about(event):
                if trap.intervention.side is Side.AFTER:
                    afterwards = afterwards or trap.intervention
                elif trap.counts():
                    self._gripping[event] = trap
                    return trap.intervention
        return afterwards

    def done(self, event: Event) -> None:
        """Spring what waits after this event if it had an effect, else let the reply pass."""
        if event.after is None:
            return
        event.after = None
        for trap in self._traps if is_fruitful(event.completion) else ():
            if trap.is_about(event) and trap.intervention.side is Side.AFTER and trap.counts():
                self._gripping[event] = trap
                event.after = trap.intervention
                return

    def acted(self, event: Event, intervention: Intervention) -> None:
        """Tell that a trap has sprung."""
        trap = self._gripping.pop(event, None)
        if trap is not None:
            trap.sprung_ns = time.monotonic_ns()
            trap.tell()

    def requests(self) -> tuple[Request, ...]:
        """Return the requests so far, in order."""
        return tuple(
            Request(
                component=event.component,
                event=event.key,
                at_ns=at_ns,
                completion=event.completion,
            )
            for at_ns, event in tuple(self._trace)
        )


class LaneWire:
    """Implements Wire over a Proxy."""

    def __init__(self) -> None:
        self._controller = TrapController()
        self._proxy = Proxy(self._controller)
        self._ports: dict[str, int] = {}

    def route(self, component: str, socket_path: str) -> int:
        """Return the port that leads a component to the database's socket."""
        if component not in self._ports:
            self._ports[component] = self._proxy.listen(component, socket_path)
        return self._ports[component]

    def route_http(self, component: str, port: int) -> int:
        """Return the port that leads an HTTP client to the server on a port of 127.0.0.1."""
        server = ("127.0.0.1", port)
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
        self._controller = TrapController()
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
    ) -> LaneTrap:
        """Grip when the moment comes, and tell."""
        let_pass = Release()
        trap = LaneTrap(
            component=component,
            key=moment.event,
            nth=moment.nth,
            intervention=_intervention(grip, _SIDES[moment.side], let_pass, hold_ms),
            tell=sprung,
            let_pass=let_pass,
        )
        self._controller.add(trap)
        return trap

    def freeze(self, component: str) -> None:
        """Let nothing pass."""
        self._proxy.freeze(component)

    def thaw(self, component: str) -> None:
        """Let pass again."""
        self._proxy.thaw(component)

    def cut(self, component: str) -> None:
        """Break all connections of a component."""
        self._proxy.cut_all(component)

    def requests(self) -> Sequence[Request]:
        """Return the requests since `begin`."""
        return self._controller.requests()

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


def _nothing(_event: Event) -> None:
    """The strike is done by whoever is told of it, while the component is frozen."""
