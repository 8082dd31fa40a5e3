"""What passes between the client and the HTTP server: lost, reset or late."""

import time

from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind, History
from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import System
from chaosfuzz.domain.wire import Grip, Trap
from chaosfuzz.faults.common import end, lacks, sprung_ns

_DELAY = "delay_reply"


class ReplyLoss:
    """lose_reply, reset_request and delay_reply; the client's next request heals it."""

    actions = ("lose_reply", "reset_request", _DELAY)

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """Refuse: it strikes at a moment only."""
        raise lacks(f"{step.action} without a moment")

    def grip(self, step: Step) -> Grip:
        """The one connection is broken, or its reply kept back for a while."""
        return Grip.HOLD if step.action == _DELAY else Grip.CUT

    def struck(self, step: Step, system: System, history: History, trap: Trap) -> Performed:
        """Record how long the client heard nothing."""
        history.begin_fault(FaultKind.CUT_OFF, CLIENT, sprung_ns(trap))
        late_ns = step["ms"] * 10**6 if step.action == _DELAY else 0
        history.end_fault(FaultKind.CUT_OFF, CLIENT, time.monotonic_ns() + late_ns)
        return Performed(applied=True)

    def heal(self, system: System, history: History) -> None:
        """Nothing stays broken: a late reply is delivered by itself."""
        end(history, FaultKind.CUT_OFF, CLIENT)
