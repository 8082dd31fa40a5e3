"""The events that a campaign yields. Consumers only read them. Times are seconds."""

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
    """Learning has ended: the requests to which faults can be pinned are known."""

    alphabet: Alphabet


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """No schedule ended within the last quarter of a second."""

    elapsed_s: float


@dataclass(frozen=True, kw_only=True)
class FailureFound:
    """A schedule broke a promise or showed a documented limit; `rate` counts its runs so far."""

    failure: Failure
    schedule: Schedule
    rate: Rate


@dataclass(frozen=True, kw_only=True)
class DocumentedLimitKnown:
    """A schedule showed a documented limit for which there is a saved case already."""

    failure: Failure
    case: Case
    path: Path


@dataclass(frozen=True, kw_only=True)
class ShrinkProgressed:
    """Shrinking has executed one more schedule."""

    progress: ShrinkProgress


@dataclass(frozen=True, kw_only=True)
class CaseSaved:
    """A failure was saved as a case, with the smallest failing schedule found.

    `others` are the signatures of other failures that showed while shrinking. A failure that did
    not show again is saved unshrunk; if it is shrunk later, a second event tells of that.
    """

    case: Case
    path: Path
    failure: Failure
    original_steps: int
    executions_to_shrink: int
    exhausted: bool
    story: tuple[str, ...]
    others: tuple[Signature, ...] = ()


Event = (
    Learned
    | ScheduleDone
    | Waiting
    | FailureFound
    | DocumentedLimitKnown
    | ShrinkProgressed
    | CaseSaved
)
