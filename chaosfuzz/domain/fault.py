"""What performs a step, and what judges a view: the seams that `campaign` wires together."""

from dataclasses import dataclass
from typing import Protocol

from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.verdict import Failure, Verdict
from chaosfuzz.domain.view import View


@dataclass(frozen=True, kw_only=True)
class Performed:
    """What became of a step. Not applied: the system was not in a state for it (a no-op)."""

    applied: bool
    outcome: Outcome = Outcome.OK
    detail: str = ""


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


class NoJournal:
    """A journal that writes nothing, for measurements: there is nothing to replay."""

    def write(self, kind: str, **fields: str | int | float | bool | None) -> None:
        """Do nothing."""
