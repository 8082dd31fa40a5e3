"""What passes between a component and the database: cut, held back, or heard by one side alone."""

import time

from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind, History
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import System
from chaosfuzz.domain.wire import Disconnectable, Grip, Trap
from chaosfuzz.faults.common import NOT_APPLICABLE, begin, end, lacks, sprung_ns, worker_name
from chaosfuzz.faults.services import SERVER


def _component(step: Step) -> str:
    return SERVER if step.action == "cut_server" else worker_name(step["worker"])


def _disconnectable(step: Step, system: System) -> Disconnectable:
    if not isinstance(system, Disconnectable):
        raise lacks(step.action)
    return system


def _end_by_itself(step: Step, name: str, history: History) -> None:
    """Record when a hold that lasts for so long will be over."""
    if step["ms"]:
        history.end_fault(FaultKind.CUT_OFF, name, time.monotonic_ns() + step["ms"] * 10**6)


class ConnectionCut:
    """cut_connection and cut_server; whoever lost a connection heals it by connecting again."""

    actions = ("cut_connection", "cut_server")

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """Break all connections of the component."""
        target, name = _disconnectable(step, system), _component(step)
        begin(history, FaultKind.CUT_OFF, name)
        applied = target.cut(name)
        end(history, FaultKind.CUT_OFF, name)
        return Performed(applied=True) if applied else NOT_APPLICABLE

    def grip(self, step: Step) -> Grip:
        """The one connection is broken."""
        return Grip.CUT

    def struck(self, step: Step, system: System, history: History, trap: Trap) -> Performed:
        """Record the cut."""
        history.begin_fault(FaultKind.CUT_OFF, trap.component, sprung_ns(trap))
        end(history, FaultKind.CUT_OFF, trap.component)
        return Performed(applied=True)

    def heal(self, system: System, history: History) -> None:
        """Nothing stays broken."""


class ConnectionHold:
    """hold_connection; healed by letting pass what has been kept back.

    One that ends by itself is over in the history when it would be, even if it is healed before.
    """

    actions = ("hold_connection", "release_connection")

    def __init__(self) -> None:
        self._traps: dict[str, list[Trap]] = {}

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """Hold or release."""
        target, name = _disconnectable(step, system), _component(step)
        if step.action == "release_connection":
            released = self._release(name, target, history)
            return Performed(applied=True) if released else NOT_APPLICABLE
        begin(history, FaultKind.CUT_OFF, name)
        if not target.hold(name, step["ms"]):
            end(history, FaultKind.CUT_OFF, name)
            return NOT_APPLICABLE
        _end_by_itself(step, name, history)
        return Performed(applied=True)

    def grip(self, step: Step) -> Grip:
        """The one request or its reply is held; a release needs everything still."""
        return Grip.HOLD if step.action == "hold_connection" else Grip.FREEZE

    def struck(self, step: Step, system: System, history: History, trap: Trap) -> Performed:
        """Record that something is held, or release what is."""
        if step.action == "release_connection":
            return self.perform(step, system, history)
        history.begin_fault(FaultKind.CUT_OFF, trap.component, sprung_ns(trap))
        _end_by_itself(step, trap.component, history)
        self._traps.setdefault(trap.component, []).append(trap)
        return Performed(applied=True)

    def heal(self, system: System, history: History) -> None:
        """Let everything pass again."""
        if isinstance(system, Disconnectable):
            for name in {*self._traps, *system.worker_names()}:
                self._release(name, system, history)

    def _release(self, name: str, target: Disconnectable, history: History) -> bool:
        traps = self._traps.pop(name, [])
        for trap in traps:
            trap.release()
        released = target.release(name) or bool(traps)
        if released:
            end(history, FaultKind.CUT_OFF, name)
        return released


class SessionStranding:
    """strand_session; healed as the database's keepalive would, by ending what nobody answers."""

    actions = ("strand_session",)

    def __init__(self) -> None:
        self._stranded: set[str] = set()

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """Refuse: it strikes at a moment only."""
        raise lacks("strand_session without a moment")

    def grip(self, step: Step) -> Grip:
        """The client is dropped, the session stays."""
        return Grip.STRAND

    def struck(self, step: Step, system: System, history: History, trap: Trap) -> Performed:
        """Record that the session is stranded."""
        history.begin_fault(FaultKind.CUT_OFF, trap.component, sprung_ns(trap))
        self._stranded.add(trap.component)
        return Performed(applied=True)

    def heal(self, system: System, history: History) -> None:
        """End the stranded sessions."""
        for name in sorted(self._stranded):
            if isinstance(system, Disconnectable):
                system.end_stranded(name)
            end(history, FaultKind.CUT_OFF, name)
        self._stranded.clear()
