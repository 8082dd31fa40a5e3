"""Steps that strike at a moment: armed ahead, done on a thread of their own when it comes."""

import queue
import threading
import time
from dataclasses import dataclass
from functools import partial

from chaosfuzz.actions import ActionContext, action_of, perform, requester_of, whose_moment
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Journal, Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.wire import Intervention, Trap, Trappable

HOLD_MS = 10_000
JOIN_TIMEOUT_S = 30.0
NOT_COME = Performed(applied=False, outcome=Outcome.FAILED, detail="the moment has not come")


@dataclass(kw_only=True)
class Armed:
    """A step that waits for its moment, and what became of it."""

    index: int
    step: Step
    component: str
    trap: Trap | None = None
    performed: Performed | None = None


class Strikes:
    """Sets traps and performs their steps when they spring.

    A step may strike while the loop is still busy with one before it, even one that waits for
    the very component that is struck; hence the thread.
    """

    def __init__(self, context: ActionContext, journal: Journal) -> None:
        self._context = context
        self._system = context.system
        self._history = context.history
        self._journal = journal
        self._sprung: queue.SimpleQueue[Armed | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        # A trap may spring before its step knows it.
        self._setting = threading.Lock()
        self.armed: dict[int, Armed] = {}

    def arm(self, index: int, step: Step) -> None:
        """Wait for a step's moment from now on."""
        moment = step.at
        assert moment is not None, step
        if not isinstance(self._system, Trappable):
            message = f"this target has no moments: {step}"
            raise UsageError(cause=message, remedy="remove `at`, or use a target that has moments")
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="strikes", daemon=True)
            self._thread.start()
        component = whose_moment(step)
        if not component:
            message = f"{step}: its moment names no component, and the action strikes none"
            raise UsageError(cause=message, remedy="name it with `on`, as in on: worker-1")
        armed = Armed(index=index, step=step, component=component)
        self.armed[index] = armed
        self._journal.write("armed", index=index, step=str(step))
        with self._setting:
            armed.trap = self._system.set_trap(
                armed.component,
                moment,
                _intervention_at(armed),
                lambda: self._sprung.put(armed),
                hold_ms=step.get("ms") or HOLD_MS,
                about=partial(self._history.names_of, moment.task) if moment.task else None,
            )

    @property
    def latest(self) -> int | None:
        """Return the last step that has struck."""
        return max((a.index for a in self.armed.values() if a.performed is not None), default=None)

    def missed(self) -> tuple[int, ...]:
        """Return the steps whose moment has not come."""
        return tuple(a.index for a in self.armed.values() if a.performed is None)

    def check(self) -> None:
        """Raise what went wrong while striking."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def disarm(self) -> None:
        """Wait for no moment any more; strikes under way are finished, those too that came now."""
        for armed in self.armed.values():
            if armed.trap is not None and armed.trap.sprung_ns is None:
                armed.trap.release()
        if self._thread is not None:
            self._sprung.put(None)
            self._thread.join(JOIN_TIMEOUT_S)
            self._thread = None
        self.check()

    def _work(self) -> None:
        while (armed := self._sprung.get()) is not None:
            try:
                armed.performed = self._strike(armed)
            except BaseException as error:  # noqa: BLE001 - raised again by check
                self._error = self._error or error

    def _strike(self, armed: Armed) -> Performed:
        with self._setting:
            step, trap = armed.step, armed.trap
        assert isinstance(self._system, Trappable)
        self._journal.write("strike", index=armed.index, step=str(step))
        by_wire = _intervention_at(armed) is not Intervention.FREEZE
        # A component that stands still while another is struck is as good as cut off.
        bystander = not by_wire and armed.component != requester_of(step)
        if bystander and trap is not None:
            sprung_ns = trap.sprung_ns or time.monotonic_ns()
            self._history.begin_fault(FaultKind.KEPT_STILL, armed.component, sprung_ns)
        try:
            if by_wire and trap is not None:
                return action_of(step).struck(step, self._context, trap)
            return perform(step, self._context)
        finally:
            self._system.unfreeze(armed.component)
            if bystander:
                now_ns = time.monotonic_ns()
                self._history.end_fault(FaultKind.KEPT_STILL, armed.component, now_ns)


def _intervention_at(armed: Armed) -> Intervention:
    """Return what the wire does at the moment.

    If the moment is another component's than the one that is struck, that component is kept still
    while the step is done.
    """
    step = armed.step
    is_own = armed.component == requester_of(step)
    return (
        action_of(step).intervention(step)
        if is_own or step.kind.needs_moment
        else Intervention.FREEZE
    )
