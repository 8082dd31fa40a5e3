"""What running a scenario gave: its grade, its measurements, and what they are held against."""

from dataclasses import dataclass, field
from enum import StrEnum

from chaosfuzz.domain.breaker import BreakerTransition
from chaosfuzz.domain.verdict import Failure, Verdict


class Grade(StrEnum):
    """The result of a scenario.

    LATE: passed, but after the deadline. UNKNOWN: could not be decided. NOT_OVERLOADED: the load
    was meant to be more than the system can do, and was not. ERROR: the harness failed.
    """

    PASS = "PASS"
    LATE = "PASS*"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"
    NOT_OVERLOADED = "NOT OVERLOADED"
    ERROR = "ERROR"

    @property
    def passed(self) -> bool:
        """Say whether it counts as passed."""
        return self in {Grade.PASS, Grade.LATE}


@dataclass(frozen=True, kw_only=True)
class Count:
    """So many good ones of how many."""

    good: int
    of: int

    @property
    def share(self) -> float:
        """From 0 to 1; 1 of nothing."""
        return self.good / self.of if self.of else 1.0

    def __str__(self) -> str:
        """Show the rate with its sample size."""
        return f"{self.good} of {self.of} ({100 * self.share:.1f} %)"


class Mark(StrEnum):
    """How a measurement stands to its target."""

    MET = "met"
    WARNING = "warning"
    MISSED = "missed"


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A measurement against its target; a missed one fails the scenario.

    One that is `timed` may be missed because the machine stood still: then it proves nothing.
    """

    name: str
    measured: str
    target: str
    mark: Mark
    timed: bool = False


@dataclass(frozen=True, kw_only=True)
class Strike:
    """A component ended on purpose, with the tasks that were in its hands."""

    component: str
    at_s: float
    tasks: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """How long it took from a failure until work or service went on; None: it never did."""

    component: str
    what: str
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The system at one time, in seconds since the scenario began."""

    at_s: float
    waiting: int
    running: int
    completed: int
    failed: int
    workers: int
    memory_bytes: int
    sessions: int
    breakers: str


@dataclass(frozen=True, kw_only=True)
class PhaseCount:
    """The tasks of one tag."""

    tag: str
    completed: Count


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What was measured. Rates are counts, so that each carries its sample size.

    `api` are requests while server and database were up, `outage` those while one was not, good
    if they were answered or refused as they should be. `completed` counts tasks that can
    succeed; `reruns` executions beyond the first of a task.
    """

    created: int = 0
    completed: Count = field(default_factory=lambda: Count(good=0, of=0))
    in_time: Count = field(default_factory=lambda: Count(good=0, of=0))
    buried: int = 0
    unfinished: int = 0
    reruns: int = 0
    duration_s: float = 0.0
    throughput_per_s: float = 0.0
    api: Count = field(default_factory=lambda: Count(good=0, of=0))
    outage: Count = field(default_factory=lambda: Count(good=0, of=0))
    strikes: tuple[Strike, ...] = ()
    recoveries: tuple[Recovery, ...] = ()
    transitions: tuple[BreakerTransition, ...] = ()
    phases: tuple[PhaseCount, ...] = ()
    samples: tuple[Sample, ...] = ()

    @property
    def mean_recovery_s(self) -> float | None:
        """The mean of all recoveries, None without any or if one never came."""
        known = [r.seconds for r in self.recoveries if r.seconds is not None]
        if not known or len(known) < len(self.recoveries):
            return None
        return sum(known) / len(known)

    @property
    def worst_recovery_s(self) -> float | None:
        """The longest of all recoveries, None without any or if one never came."""
        known = [r.seconds for r in self.recoveries if r.seconds is not None]
        return max(known) if known and len(known) == len(self.recoveries) else None


@dataclass(frozen=True, kw_only=True)
class ScenarioResult:
    """One scenario at one level, with why it has its grade."""

    name: str
    level: int
    grade: Grade
    why: str
    duration_s: float
    metrics: Metrics = field(default_factory=Metrics)
    criteria: tuple[Criterion, ...] = ()
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ScenarioRun:
    """All scenarios of one invocation; `error` is what ended it early, if anything did."""

    level: int
    level_name: str
    speed: float
    seed: int
    defects: tuple[str, ...]
    planned: tuple[str, ...]
    results: tuple[ScenarioResult, ...]
    duration_s: float
    interrupted: bool = False
    error: str = ""

    @property
    def passed(self) -> Count:
        """How many of those that were planned passed."""
        return Count(good=sum(r.grade.passed for r in self.results), of=len(self.planned))

    @property
    def failed(self) -> int:
        """How many failed."""
        return sum(r.grade is Grade.FAIL for r in self.results)

    @property
    def verdict(self) -> Verdict:
        """Return the worst of all grades; unknown if a scenario that was planned did not pass."""
        grades = [result.grade for result in self.results]
        return Verdict.conclude(
            violated=Grade.FAIL in grades,
            failed=bool(self.error) or Grade.ERROR in grades,
            undecided=not self.passed.good == len(self.planned) > 0,
        )
