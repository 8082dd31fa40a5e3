"""Verdicts, findings and the identity of a failure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaosfuzz.domain.view import View


class Verdict(StrEnum):
    """What can be said of a run, from the best to the worst; only HOLDS is a pass."""

    HOLDS = "holds"
    # Nothing was run, or a check could not decide.
    UNKNOWN = "unknown"
    # The harness or its environment failed.
    INFRASTRUCTURE = "infrastructure"
    VIOLATED = "violated"

    @classmethod
    def worst(cls, *verdicts: "Verdict") -> "Verdict":
        """Return the worst of several; HOLDS if none is given."""
        return max(verdicts, key=list(cls).index, default=cls.HOLDS)

    @classmethod
    def conclude(cls, *, violated: bool, failed: bool, undecided: bool) -> "Verdict":
        """Return the verdict on several runs: the worst of what was seen in any of them.

        Arguments:
            violated: a promise was broken.
            failed: the harness failed.
            undecided: a run could not be decided, or there was none.

        """
        seen = {cls.VIOLATED: violated, cls.INFRASTRUCTURE: failed, cls.UNKNOWN: undecided}
        return cls.worst(*(verdict for verdict, was_seen in seen.items() if was_seen))

    @property
    def exit_code(self) -> int:
        """The exit code of a command: 0 if all holds, 1 if violated, else 3."""
        return {Verdict.HOLDS: 0, Verdict.VIOLATED: 1}.get(self, 3)


class Kind(StrEnum):
    """Kinds of broken promises."""

    LOST = "LOST"
    STUCK = "STUCK"
    OVERLAP = "OVERLAP"
    RERUN = "RERUN"
    FALSE_COMPLETION = "FALSE_COMPLETION"
    FINISHED_UNACKED = "FINISHED_UNACKED"
    PHANTOM = "PHANTOM"
    DOUBLE_CREATE = "DOUBLE_CREATE"
    STATE_REGRESSION = "STATE_REGRESSION"
    GAVE_UP = "GAVE_UP"
    ORDER = "ORDER"
    DEGRADED = "DEGRADED"
    UNHEALTHY = "UNHEALTHY"
    WORKER_EXIT = "WORKER_EXIT"
    LEAK = "LEAK"
    HIDDEN = "HIDDEN"
    BREAKER = "BREAKER"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One instance of a broken promise (or, when `certain` is false, of one left undecided)."""

    message: str
    tasks: tuple[int, ...] = ()
    role: str = "worker"
    kind: Kind | None = None
    certain: bool = True


@dataclass(frozen=True, kw_only=True, order=True)
class Signature:
    """The identity of a failure, free of ids, times and messages. Shrinking keeps it."""

    invariant: str
    kind: str
    role: str

    def __str__(self) -> str:
        """Show it on one line."""
        return f"{self.invariant}/{self.kind}/{self.role}"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A violated invariant with its evidence; step None means it showed at the end.

    `documented` is where and how the target's contract admits it; empty, a promise is broken.
    """

    signature: Signature
    message: str
    tasks: tuple[int, ...]
    step: int | None
    documented: str = ""

    @property
    def identity(self) -> tuple[Signature, bool]:
        """What tells it from others: a documented limit may have a broken promise's signature."""
        return self.signature, bool(self.documented)


Check = Callable[["View"], Iterable[Finding]]


@dataclass(frozen=True, kw_only=True)
class Invariant:
    """One property over history and observed state."""

    name: str
    kind: Kind
    check: Check
    summary: str
    at_end: bool
    source: str


def invariant(*, kind: Kind | str, at_end: bool = False) -> Callable[[Check], Invariant]:
    """Turn a function from View to findings into an invariant, named after the function.

    The function yields a Finding for each way in which the property does not hold. With
    `at_end` it is checked once, after healing and settling; otherwise after every step too.
    """

    def make(check: Check) -> Invariant:
        summary = (check.__doc__ or "").strip().split("\n")[0]
        name = getattr(check, "__name__", "invariant")
        source = getattr(getattr(check, "__code__", None), "co_filename", "")
        return Invariant(
            name=name, kind=Kind(kind), check=check, summary=summary, at_end=at_end, source=source
        )

    return make
