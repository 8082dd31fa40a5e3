"""Results of a scenario: its grade, its measurements and its criteria."""

from dataclasses import dataclass, field
from enum import StrEnum

from chaosfuzz.domain.breaker import BreakerTransition
from chaosfuzz.domain.verdict import Failure, Verdict


class Grade(StrEnum):
    """The result of a scenario.

    LATE: passed, but after the deadline. UNKNOWN: could not be decided. NOT_OVERLOADED: the system
    managed a load that was meant to be too much for it. ERROR: the harness failed.
    """

    PASS = "PASS"
    LATE = "PASS*"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"
    NOT_OVERLOADED = "NOT OVERLOADED"
    ERROR = "ERROR"

    @property
    def passed(self) -> bool:
        """Say whether the grade counts as passed."""
        return self in {Grade.PASS, Grade.LATE}


@dataclass(frozen=True, kw_only=True)
class Count:
    """A number of good ones among `of`."""

    good: int
    of: int

    @property
    def share(self) -> float:
        """The good part, from 0 to 1; 1 if `of` is 0."""
        return self.good / self.of if self.of else 1.0

    def __str__(self) -> str:
        """Show the rate with its sample size."""
        return f"{self.good} of {self.of} ({100 * self.share:.1f} %)"


class Mark(StrEnum):
    """The result of comparing a measurement with its target."""

    MET = "met"
    WARNING = "warning"
    MISSED = "missed"


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A measurement with its target; a missed target fails the scenario.

    If the machine stood still, a missed target of a `timed` criterion proves nothing.
    """

    name: str
    measured: str
    target: str
    mark: Mark
    timed: bool = False


@dataclass(frozen=True, kw_only=True)
class WorkerKill:
    """A worker that a scenario killed `at_s` seconds after its begin, with the tasks it ran."""

    component: str
    at_s: float
    tasks: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """The time from a failure until work or service went on; None: it never did."""

    component: str
    what: str
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A measurement of the system; `at_s` counts from the scenario's beginning."""

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
    """The tasks of one tag, and how many of them completed."""

    tag: str
    completed: Count


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The measurements of a scenario. Rates are counts, to include the sample size.

    - `completed`: of the tasks that can succeed. `in_time`: of those, before the deadline.
    - `buried`: tasks that failed for good. `reruns`: executions beyond the first of a task.
    - `api`: requests while server and database were up; `outage`: those while one of them was down.
      A request is good if it was answered or refused as it should be.
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
    strikes: tuple[WorkerKill, ...] = ()
    recoveries: tuple[Recovery, ...] = ()
    transitions: tuple[BreakerTransition, ...] = ()
    phases: tuple[PhaseCount, ...] = ()
    samples: tuple[Sample, ...] = ()

    @property
    def mean_recovery_s(self) -> float | None:
        """The mean of all recoveries; None without any, or if one of them never came."""
        times_s = self._recoveries_s()
        return sum(times_s) / len(times_s) if times_s else None

    @property
    def worst_recovery_s(self) -> float | None:
        """The longest of all recoveries; None without any, or if one of them never came."""
        return max(self._recoveries_s(), default=None)

    def _recoveries_s(self) -> list[float]:
        known = [r.seconds for r in self.recoveries if r.seconds is not None]
        return known if len(known) == len(self.recoveries) else []


@dataclass(frozen=True, kw_only=True)
class ScenarioResult:
    """The result of one scenario at one level; `why` is the reason of the grade."""

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
    """All scenarios of one command; `error` is the error that ended it early, if one did."""

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
        """How many of the planned scenarios passed."""
        return Count(good=sum(r.grade.passed for r in self.results), of=len(self.planned))

    @property
    def failed(self) -> int:
        """The number of scenarios that failed."""
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
