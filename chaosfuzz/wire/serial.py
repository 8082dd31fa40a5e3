"""One request at a time over all components, the next drawn by a seed."""

import random
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from chaosfuzz.wire.event import Event
from chaosfuzz.wire.intervention import Controller, Hold, Intervention, Release

# Longer than any schedule: the thread lets go, and `close` at the latest.
_DEADLINE_MS = 3_600_000.0
_END_TIMEOUT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class _Turn(Hold):
    """A request that waits for its turn."""


class SerialController:
    """Lets one request go at a time and asks another controller what is done at it.

    A request is drawn when every expected component has one, or after `patience_ms`. A request
    that is not answered within `blocked_ms` waits for another's lock: the next is let go.
    Implements Controller; close it after use, which lets everything go.
    """

    def __init__(
        self,
        inner: Controller,
        seed: int,
        components: Iterable[str],
        *,
        patience_ms: float = 500.0,
        blocked_ms: float = 100.0,
    ) -> None:
        self._inner = inner
        self._random = random.Random(seed)
        self._patience_s = patience_ms / 1000
        self._blocked_s = blocked_ms / 1000
        self._condition = threading.Condition()
        self._expected = frozenset(components)
        self._waiting: dict[Event, _Turn] = {}
        self._under_way: Event | None = None
        self._order: list[str] = []
        self._blocked = 0
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="chaosfuzz-serial", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def order(self) -> tuple[str, ...]:
        """The requests let go so far, in order, as `component key#nth`."""
        with self._condition:
            return tuple(self._order)

    @property
    def blocked(self) -> int:
        """How many requests were not answered in time."""
        return self._blocked

    def expect(self, components: Iterable[str]) -> None:
        """Wait for requests of exactly these components from now on."""
        with self._condition:
            self._expected = frozenset(components)
            self._condition.notify_all()

    def close(self) -> None:
        """Let everything go and draw no more."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
            waiting = tuple(self._waiting.values())
        for turn in waiting:
            turn.release.set()
        self._thread.join(_END_TIMEOUT_S)

    def before(self, event: Event) -> Intervention | None:
        """Hold the request until it is drawn, then do what the other controller says."""
        then = self._inner.before(event)
        if self._is_closed:
            return then
        turn = _Turn(release=Release(), deadline_ms=_DEADLINE_MS, then=then)
        with self._condition:
            self._waiting[event] = turn
            self._condition.notify_all()
        return turn

    def done(self, event: Event) -> None:
        """Take note that the request under way has been answered."""
        self._inner.done(event)
        with self._condition:
            self._waiting.pop(event, None)
            if self._under_way is event:
                self._under_way = None
            self._condition.notify_all()

    def acted(self, event: Event, intervention: Intervention) -> None:
        """Pass on what the other controller has decided; holding is this one's own."""
        if not isinstance(intervention, _Turn):
            self._inner.acted(event, intervention)

    def _run(self) -> None:
        while (event := self._draw()) is not None:
            self._wait_answered(event)

    def _draw(self) -> Event | None:
        """Wait for requests and let one go; None when closed."""
        with self._condition:
            self._condition.wait_for(
                lambda: self._is_closed or self._expected <= self._components(), self._patience_s
            )
            self._condition.wait_for(lambda: self._is_closed or bool(self._waiting))
            if self._is_closed:
                return None
            component = self._random.choice(sorted(self._components()))
            # Of one component the first to have come, so that its own order is kept.
            event = next(event for event in self._waiting if event.component == component)
            turn = self._waiting.pop(event)
            self._under_way = event
            self._order.append(f"{event.component} {event.key}#{event.nth}")
        turn.release.set()
        return event

    def _wait_answered(self, event: Event) -> None:
        with self._condition:
            if not self._condition.wait_for(
                lambda: self._is_closed or self._under_way is not event, self._blocked_s
            ):
                self._blocked += 1

    def _components(self) -> frozenset[str]:
        return frozenset(event.component for event in self._waiting)
