"""One request at a time over all components, the next by a seed."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.wire.alphabet import is_fruitful, is_housekeeping
from chaosfuzz.wire.event import Event, RequestKind
from chaosfuzz.wire.intervention import Controller, Hold, Intervention, Release

# Longer than any schedule: the thread lets go, and `close` at the latest.
_DEADLINE_MS = 3_600_000.0
_END_TIMEOUT_S = 5.0
# A component that goes on with what it was answered asks again sooner.
_PROMPT_MS = 10.0
_GLANCE_MS = 1.0


@dataclass(frozen=True, kw_only=True)
class _Turn(Hold):
    """A request that waits for its turn. `since_s` is when it came, by the monotonic clock."""

    since_s: float


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a serial order waits for whom.

    `settle_ms`: as long must everything be asleep before the next request goes. `collect_ms`:
    what timers set off within this time counts as simultaneous. `attention_ms`: the harness is
    taken to be about to do something until it says that it waits, or so long. `overdue_ms`: a
    request that has waited so long goes, whoever may be at work. `blocked_ms`: a request that
    is not answered within this time waits for another's lock, and the next one goes.
    """

    settle_ms: float = 3.0
    collect_ms: float = 50.0
    attention_ms: float = 150.0
    overdue_ms: float = 1000.0
    blocked_ms: float = 250.0


@dataclass(frozen=True, kw_only=True)
class Habits:
    """What is known of keys: which are set off by a timer, which have ever had an effect."""

    timed: frozenset[str] = frozenset()
    fruitful: frozenset[str] = frozenset()


class SerialController:
    """Lets one request to PostgreSQL go at a time and asks another controller what is done at it.

    What could make the order differ between runs, and what is done about it:

    - Who will ask next? Nobody is waited for by name. `look` says whether the components are
      at work: None if one of them is, else how often they have been so far. The next request
      goes when all sleep and have slept for a while: then whoever was going to ask has asked,
      and whoever is idle, stopped or dead is not waited for. So an idle system costs no time.
    - The harness is at work too between two of its steps. It says when it only waits.
    - Polls come by the clock. So the next request is not the next random number: each has a
      rank that follows from the seed, its component, its key, and how many such requests had
      an effect before, and the lowest rank goes. One poll in vain more or less shifts nothing,
      and one of a kind that has only ever been in vain does not wait for its turn.
    - Two timers that run out at about the same time do so in either order. So a request that
      a timer set off waits for others of its kind, unless it is one that also comes in vain.
      Which they are is learned by a controller that has no `habits`, and read off it after.

    Requests to the HTTP server are not held: the harness makes one at a time. Implements
    Controller; close it after use, which lets everything go.
    """

    def __init__(
        self,
        inner: Controller,
        seed: int,
        look: Callable[[], int | None],
        habits: Habits | None = None,
        patience: Patience = Patience(),
    ) -> None:
        self._inner = inner
        self._seed = seed
        self._look = look
        self._patience = patience
        self._condition = threading.Condition()
        self._waiting: dict[Event, _Turn] = {}
        self._decided: set[Event] = set()
        self._still: set[str] = set()
        self._under_way: Event | None = None
        self._effects: Counter[tuple[str, str]] = Counter()
        self._polled: set[str] = set()
        self._fruitful = set(habits.fruitful if habits is not None else ())
        self._is_learning = habits is None
        self._timed = set(habits.timed if habits is not None else ())
        self._batch: set[Event] = set()
        self._effect_s = time.monotonic()
        self._answered_s: dict[str, float] = {}
        self._order: list[Event] = []
        self._blocked = 0
        self._hurried = 0
        self._changes = 0
        self._pauses = 0
        self._http_requests = 0
        self._striking_until_s = 0.0
        self._attentive_since_s = time.monotonic()
        self._is_closed = False
        self._error: Exception | None = None
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
            return tuple(f"{event.component} {event.key}#{event.nth}" for event in self._order)

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return len(self._waiting)

    @property
    def habits(self) -> Habits:
        """What is known of keys by now; a run that begins with it is like the next one."""
        with self._condition:
            return Habits(timed=frozenset(self._timed), fruitful=frozenset(self._fruitful))

    @property
    def blocked(self) -> int:
        """How many requests were not answered in time."""
        return self._blocked

    @property
    def hurried(self) -> int:
        """How many requests went because they had waited too long."""
        return self._hurried

    def pause_harness(self) -> None:
        """Take note that the harness does nothing but wait, once more."""
        with self._condition:
            self._pauses += 1
            self._note()

    def resume_harness(self) -> None:
        """Take note that the harness goes on, unless it waits elsewhere as well."""
        with self._condition:
            self._pauses -= 1
            self._attentive_since_s = time.monotonic()
            self._note()

    def keep_still(self, component: str, *, striking: bool = False) -> None:
        """Draw no request of a component through which nothing passes.

        `striking`: the harness is about to do something to it, so that nothing else goes first.
        """
        with self._condition:
            self._still.add(component)
            if striking:
                self._striking_until_s = time.monotonic() + self._patience.attention_ms / 1000
            self._note()

    def let_on(self, component: str) -> None:
        """Draw its requests again."""
        with self._condition:
            self._still.discard(component)
            self._striking_until_s = 0.0
            self._note()

    def close(self) -> None:
        """Let everything go and draw no more."""
        self._let_all_go()
        self._thread.join(_END_TIMEOUT_S)

    def check(self) -> None:
        """Raise what has gone wrong since the last check; nothing is held any more then.

        Raises:
            InfrastructureError: it could not be seen who is at work.

        """
        error, self._error = self._error, None
        if error is not None:
            message = f"requests could not be put in series: {error}; run again"
            raise InfrastructureError(message) from error

    def before(self, event: Event) -> Intervention | None:
        """Hold the request until it is drawn, then do what the other controller says."""
        if event.kind is RequestKind.HTTP:
            with self._condition:
                self._http_requests += 1
                self._note()
            return self._decide(event)
        # A CANCEL is about a request that is under way, which may not end without it.
        if event.kind is RequestKind.CANCEL:
            return self._decide(event)
        with self._condition:
            if self._is_closed:
                return self._decide(event)
            turn = _Turn(
                release=Release(),
                deadline_ms=_DEADLINE_MS,
                decide=self._decide,
                since_s=time.monotonic(),
            )
            self._waiting[event] = turn
            if self._is_learning and self._comes_by_itself(event, turn.since_s):
                self._timed.add(event.key)
            self._note()
        return turn

    def done(self, event: Event) -> None:
        """Take note that the request under way has been answered."""
        if event in self._decided:
            self._decided.discard(event)
            self._inner.done(event)
        with self._condition:
            if event.kind is RequestKind.HTTP:
                self._http_requests -= 1
                self._attentive_since_s = time.monotonic()
                self._note()
                return
            self._waiting.pop(event, None)
            self._answered_s[event.component] = time.monotonic()
            if is_fruitful(event.completion):
                self._effects[event.component, event.key] += 1
                self._fruitful.add(event.key)
                self._effect_s = time.monotonic()
            else:
                self._polled.add(event.key)
                if self._is_learning:
                    self._timed.discard(event.key)
            if self._under_way is event:
                self._under_way = None
            self._note()

    def _decide(self, event: Event) -> Intervention | None:
        """Ask the other controller: of a held request when it goes, by what is armed by then."""
        self._decided.add(event)
        return self._inner.before(event)

    def acted(self, event: Event, intervention: Intervention) -> None:
        """Pass on what the other controller has decided; holding is this one's own."""
        if not isinstance(intervention, _Turn):
            self._inner.acted(event, intervention)

    def _note(self) -> None:
        self._changes += 1
        self._condition.notify_all()

    def _let_all_go(self) -> None:
        with self._condition:
            self._is_closed = True
            self._note()
            waiting = tuple(self._waiting.values())
        for turn in waiting:
            turn.release.set()

    def _run(self) -> None:
        try:
            self._put_in_series()
        except Exception as error:  # noqa: BLE001 - raised again by check
            self._error = error
            self._let_all_go()

    def _put_in_series(self) -> None:
        while not self._is_closed:
            has_settled = self._settles()
            with self._condition:
                event = self._next(has_settled=has_settled)
                if event is None:
                    continue
                turn = self._waiting.pop(event)
                self._batch.discard(event)
                self._under_way = event
                self._order.append(event)
            turn.release.set()
            self._wait_answered(event)

    def _next(self, *, has_settled: bool) -> Event | None:
        """Return whose turn it is, None if that is not known yet or nobody asks."""
        candidates = [event for event in self._waiting if event.component not in self._still]
        if not candidates:
            if has_settled:
                # All sleep: there is nothing to do until somebody asks.
                changes = self._changes
                self._condition.wait_for(lambda: self._is_closed or self._changes != changes)
            return None
        waited_s = time.monotonic() - self._waiting[candidates[0]].since_s
        if waited_s * 1000 >= self._patience.overdue_ms:
            self._hurried += 1
            return candidates[0]
        idle = [event for event in candidates if self._is_idle_poll(event.key)]
        if idle:
            return idle[0]
        if not has_settled:
            return None
        prompt = [event for event in candidates if event.key not in self._timed]
        batch = [event for event in candidates if event in self._batch]
        # Of requests of the same rank, which are the same, the first to have come.
        if prompt or batch:
            return min(prompt or batch, key=self._rank)
        latest_s = max(self._effect_s, *(self._waiting[event].since_s for event in candidates))
        if (time.monotonic() - latest_s) * 1000 >= self._patience.collect_ms:
            self._batch = set(candidates)
        return None

    def _settles(self) -> bool:
        """Wait a little; say whether nothing happened meanwhile and all are and were asleep."""
        with self._condition:
            changes = self._changes
            is_attentive = self._harness_is_attentive()
        before = None if is_attentive else self._look()
        # Who is at work may ask at any time; that all sleep has to be so for a while.
        wait_ms = _GLANCE_MS if before is None else self._patience.settle_ms
        with self._condition:
            has_changed = self._condition.wait_for(
                lambda: self._is_closed or self._changes != changes, wait_ms / 1000
            )
        if has_changed or before is None or self._look() != before:
            return False
        with self._condition:
            return self._changes == changes

    def _wait_answered(self, event: Event) -> None:
        with self._condition:
            if not self._condition.wait_for(
                lambda: self._is_closed or self._under_way is not event,
                self._patience.blocked_ms / 1000,
            ):
                self._blocked += 1

    def _is_idle_poll(self, key: str) -> bool:
        """Say whether a request has only ever come in vain: when it goes matters to nobody."""
        return key in self._polled and key not in self._fruitful

    def _comes_by_itself(self, event: Event, now_s: float) -> bool:
        """Say whether a request, and no poll, comes when nothing has just been answered."""
        if self._http_requests or event.key in self._polled or is_housekeeping(event.key):
            return False
        quiet_s = now_s - self._answered_s.get(event.component, now_s)
        return quiet_s * 1000 > _PROMPT_MS

    def _harness_is_attentive(self) -> bool:
        now_s = time.monotonic()
        if now_s < self._striking_until_s:
            return True
        if self._pauses or self._http_requests:
            return False
        return (now_s - self._attentive_since_s) * 1000 < self._patience.attention_ms

    def _rank(self, event: Event) -> bytes:
        effects = self._effects[event.component, event.key]
        identity = f"{self._seed} {event.component} {event.key} {effects}"
        return hashlib.blake2b(identity.encode(), digest_size=8).digest()
