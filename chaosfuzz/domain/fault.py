"""What performs a step, and what judges a view: the seams that `campaign` wires together."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from chaosfuzz.domain.history import History
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import System
from chaosfuzz.domain.verdict import Failure, Verdict
from chaosfuzz.domain.view import View
from chaosfuzz.domain.wire import Grip, Trap


@dataclass(frozen=True, kw_only=True)
class Performed:
    """What became of a step. Not applied: the system was not in a state for it (a no-op)."""

    applied: bool
    outcome: Outcome = Outcome.OK
    detail: str = ""


class Injector(Protocol):
    """A fault beside its healing."""

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the actions it performs."""
        ...

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """Do the step, recording the fault before it takes effect."""
        ...

    def heal(self, system: System, history: History) -> None:
        """Undo whatever of this kind is in force; safe to call when nothing is."""
        ...


@runtime_checkable
class GripInjector(Protocol):
    """An injector of faults that the wire itself commits at a moment."""

    def grip(self, step: Step) -> Grip:
        """What the wire does at the step's moment."""
        ...

    def struck(self, step: Step, system: System, history: History, trap: Trap) -> Performed:
        """Record the fault, which is in force since the trap has sprung."""
        ...


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """All that one look at a view gave; `limits` are failures that the contract admits."""

    verdict: Verdict
    failures: tuple[Failure, ...] = ()
    limits: tuple[Failure, ...] = ()
    undecided: tuple[str, ...] = ()


class Judge(Protocol):
    """Checks the invariants over a view."""

    def judge(self, view: View, step: int | None) -> Judgement:
        """Check; the step is the index after which it is done, None at the end."""
        ...


class Journal(Protocol):
    """Takes down events before what they announce happens."""

    def write(self, kind: str, **fields: str | int | float | bool | None) -> None:
        """Write one event."""
        ...
