"""What a campaign tells its consumers; they only read."""

from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.domain.case import Case, Rate
from chaosfuzz.domain.moment import Alphabet
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure, Signature
from chaosfuzz.shrinking import ShrinkProgress


@dataclass(frozen=True, kw_only=True)
class ScheduleDone:
    """A schedule was run and judged."""

    result: RunResult
    elapsed_s: float


@dataclass(frozen=True, kw_only=True)
class Learned:
    """The requests that moments are made of are known."""

    alphabet: Alphabet


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Nothing new; time goes by."""

    elapsed_s: float


@dataclass(frozen=True, kw_only=True)
class FailureFound:
    """A schedule broke a promise, or showed a documented limit, in so many of its runs so far."""

    failure: Failure
    schedule: Schedule
    rate: Rate


@dataclass(frozen=True, kw_only=True)
class LimitKnown:
    """A schedule showed a documented limit that a saved case shows already."""

    failure: Failure
    case: Case
    path: Path


@dataclass(frozen=True, kw_only=True)
class ShrinkingOn:
    """Shrinking has run once more."""

    progress: ShrinkProgress


@dataclass(frozen=True, kw_only=True)
class CaseSaved:
    """The failure with its smallest schedule known, saved.

    `others` are signatures of other failures met while shrinking. A rare failure is saved as it
    was found, and once more if it is shrunk after all.
    """

    case: Case
    path: Path
    failure: Failure
    original_steps: int
    executions_to_shrink: int
    exhausted: bool
    story: tuple[str, ...]
    others: tuple[Signature, ...] = ()


Event = Learned | ScheduleDone | Waiting | FailureFound | LimitKnown | ShrinkingOn | CaseSaved
