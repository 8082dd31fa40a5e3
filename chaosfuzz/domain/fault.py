"""The result of a step, and the protocols of judges and journals."""

from dataclasses import dataclass
from typing import Protocol

from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.verdict import Failure, Verdict
from chaosfuzz.domain.view import View


@dataclass(frozen=True, kw_only=True)
class Performed:
    """The result of a step. If not `applied`, it did nothing: the system was in no state for it."""

    applied: bool
    outcome: Outcome = Outcome.OK
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The result of one check of a view.

    `limits` are failures that the contract admits. `undecided` has the reasons of what could not
    be decided.
    """

    verdict: Verdict
    failures: tuple[Failure, ...] = ()
    limits: tuple[Failure, ...] = ()
    undecided: tuple[str, ...] = ()


class Judge(Protocol):
    """Checks the invariants over a view."""

    def judge(self, view: View, step: int | None) -> Judgement:
        """Check the view; `step` is the index of the last step done, None after the last of all."""
        ...


class Journal(Protocol):
    """Records events before they take effect."""

    def write(self, kind: str, **fields: str | int | float | bool | None) -> None:
        """Write one event, and flush it."""
        ...


class NoJournal:
    """A journal that writes nothing, for benchmarks."""

    def write(self, kind: str, **fields: str | int | float | bool | None) -> None:
        """Do nothing."""
