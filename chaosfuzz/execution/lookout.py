"""Looks at a system, records what is seen, and has it judged."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from chaosfuzz.domain.abilities import Starvable
from chaosfuzz.domain.fault import Judge
from chaosfuzz.domain.history import History, ProcessExit
from chaosfuzz.domain.target import System
from chaosfuzz.domain.verdict import Failure, Signature
from chaosfuzz.domain.view import View
from chaosfuzz.domain.wire import Attentive
from chaosfuzz.execution.progress import abstract_state, progress_mark
from chaosfuzz.execution.stalls import StallMonitor
from chaosfuzz.execution.strikes import Strikes

POLL_S = 0.008
SETTLE_FACTOR = 4


class ViolationSeenError(Exception):
    """Raised inside the loop to stop at the first look that shows a violation."""

    def __init__(self, failures: tuple[Failure, ...]) -> None:
        self.failure, *also = failures
        super().__init__(self.failure.message)
        self.also = tuple(also)


class Lookout:
    """Sees one run; `step` is the one that is being done, None after the last.

    What it cannot decide it remembers, and raises ViolationSeenError at the first violation.
    """

    def __init__(
        self,
        system: System,
        history: History,
        strikes: Strikes,
        judge: Judge,
        stalls: StallMonitor,
        stop: threading.Event,
    ) -> None:
        self._system = system
        self._history = history
        self._strikes = strikes
        self._judge = judge
        self._stalls = stalls
        self._stop = stop
        self.step: int | None = None
        self.undecided: dict[str, None] = {}
        self.limits: dict[Signature, Failure] = {}
        self.states_seen: set[str] = set()

    def watch(
        self,
        until: Callable[[], bool],
        quiet_ms: float,
        *,
        progress: bool = False,
        work_ms: float = 0.0,
    ) -> bool:
        """Observe until a condition holds; False once the time is up.

        With `progress` the time counts from the last change seen, up to SETTLE_FACTOR times it
        and the work there is to do.
        """
        with self._waiting():
            return self._look_on(until, quiet_ms, progress=progress, work_ms=work_ms)

    def _waiting(self) -> AbstractContextManager[None]:
        """Say that nothing is done but waiting."""
        return self._system.waiting() if isinstance(self._system, Attentive) else nullcontext()

    def _look_on(
        self, until: Callable[[], bool], quiet_ms: float, *, progress: bool, work_ms: float
    ) -> bool:
        """See `watch`."""
        limit_ms = SETTLE_FACTOR * quiet_ms + work_ms
        began = last_change = time.monotonic()
        seen = progress_mark(self._history)
        while not until():
            now = time.monotonic()
            start = last_change if progress else began
            if now - start > quiet_ms / 1000 or now - began > limit_ms / 1000:
                return False
            if self._stop.wait(POLL_S):
                raise KeyboardInterrupt
            self.observe(ask_health=False)
            mark = progress_mark(self._history)
            if mark != seen:
                seen, last_change = mark, time.monotonic()
        return True

    def observe(
        self, *, ask_health: bool, count_sessions: bool = False, step_done: bool = False
    ) -> None:
        """Look at everything; check the every-step invariants after a step, or if it changed."""
        observation = self._system.observe(ask_health=ask_health, count_sessions=count_sessions)
        # The queue is read before the ledger: an end is written before the queue is told.
        executions = tuple(self._system.executions())
        has_exits = self._collect_exits()
        self._strikes.check()
        before = self._history.observations[-1] if self._history.observations else None
        changed = (
            ask_health
            or step_done
            or has_exits
            or before is None
            or observation.tasks != before.tasks
            or observation.breakers != before.breakers
            or observation.components_up != before.components_up
            or executions != self._history.executions
        )
        self._history.executions = executions
        if changed:
            self._history.observations.append(observation)
            self.states_seen.add(abstract_state(self._history))
            self.check(final=False)

    def _collect_exits(self) -> bool:
        """Record processes that ended; say whether there were any."""
        ended = self._system.exits()
        for gone in ended:
            self._history.exits.append(
                ProcessExit(
                    component=gone.component,
                    pid=gone.pid,
                    exit_code=gone.exit_code,
                    ordered=gone.ordered,
                    detail=gone.detail,
                    at_ns=gone.at_ns or time.monotonic_ns(),
                )
            )
        return bool(ended)

    def check(self, *, final: bool) -> None:
        """Judge the history so far; raises ViolationSeenError on a violation."""
        now_ns = time.monotonic_ns()
        stalls = self._stalls.since(self._history.began_ns)
        starved = self._system.starved() if isinstance(self._system, Starvable) else ()
        self._history.stalls = [*stalls, *starved]
        self._history.lateness = self._stalls.lateness_since(self._history.began_ns)
        view = View(self._history, self._system.contract, final, now_ns)
        # A step that struck ahead of its turn belongs to what the failure needs.
        step = self.step
        if step is not None and self._strikes.latest is not None:
            step = max(step, self._strikes.latest)
        judgement = self._judge.judge(view, step)
        for reason in judgement.undecided:
            self.undecided[reason] = None
        for limit in judgement.limits:
            self.limits.setdefault(limit.signature, limit)
        if judgement.failures:
            raise ViolationSeenError(judgement.failures)
