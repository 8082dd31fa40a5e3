"""Performs pinned steps: armed ahead, performed by a thread of their own at their moment."""

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

# Chosen by hand: a hold without a length of its own, and the wait for steps under way at the end.
HOLD_MS = 10_000
JOIN_TIMEOUT_S = 30.0
NOT_COME = Performed(applied=False, outcome=Outcome.FAILED, detail="the moment has not come")


@dataclass(kw_only=True)
class ArmedStep:
    """A step that waits for its moment at a component; `performed` is its outcome after that."""

    index: int
    step: Step
    component: str
    trap: Trap | None = None
    performed: Performed | None = None


class ArmedSteps:
    """The armed steps of one run, and the thread that performs each when its trap springs.

    A moment may come while the loop still performs an earlier step, even one that waits for the
    same component. Therefore the steps have a thread of their own.
    """

    def __init__(self, context: ActionContext, journal: Journal) -> None:
        self._context = context
        self._system = context.system
        self._history = context.history
        self._journal = journal
        self._sprung: queue.SimpleQueue[ArmedStep | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        # Held until `arm` has stored the trap, because a trap may spring before that.
        self._setting = threading.Lock()
        self.armed: dict[int, ArmedStep] = {}

    def arm(self, index: int, step: Step) -> None:
        """Set the trap of a pinned step: from now on it is performed when its moment comes.

        Raises UsageError if the target has no moments, or the moment names no component.
        """
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
            message = f"{step}: its moment names no component, and the action acts on none"
            raise UsageError(cause=message, remedy="name the component: on: worker-1")
        armed = ArmedStep(index=index, step=step, component=component)
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
        """The highest index of a step that was performed; None if none was."""
        return max((a.index for a in self.armed.values() if a.performed is not None), default=None)

    def missed(self) -> tuple[int, ...]:
        """Return the indexes of the steps that were not performed, since no moment came."""
        return tuple(a.index for a in self.armed.values() if a.performed is None)

    def check(self) -> None:
        """Raise the first error of the thread, once."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def disarm(self) -> None:
        """Release every trap that has not sprung, finish the other steps, and end the thread.

        The thread is waited for 30 s at most. Raises its first error, if any.
        """
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

    def _strike(self, armed: ArmedStep) -> Performed:
        with self._setting:
            step, trap = armed.step, armed.trap
        assert isinstance(self._system, Trappable)
        self._journal.write("strike", index=armed.index, step=str(step))
        by_wire = _intervention_at(armed) is not Intervention.FREEZE
        # A component that is frozen while a step acts on another one is recorded as a fault of it.
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


def _intervention_at(armed: ArmedStep) -> Intervention:
    """Return the intervention of the proxy at the moment.

    If the requests of another component make the moment than those of the one that the step acts
    on, that component is frozen while the step is performed.
    """
    step = armed.step
    is_own = armed.component == requester_of(step)
    return (
        action_of(step).intervention(step)
        if is_own or step.kind.needs_moment
        else Intervention.FREEZE
    )
