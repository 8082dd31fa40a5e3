"""What a scenario is made of, as data. Times are seconds at speed 1."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaosfuzz.domain.action import RETRY_STRATEGIES, STOP_MODES, TASK_TYPES
from chaosfuzz.domain.breaker import BreakerState

if TYPE_CHECKING:
    from chaosfuzz.scenarios.stage import Stage

MAX_TASKS, MAX_WORKERS, MAX_TIMES, MAX_S = 1000, 5, 100, 3600.0


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        message = f"{name} is {value:g}; use {low:g} to {high:g}"
        raise ValueError(message)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        message = f"{name} is {value!r}; use one of {', '.join(known)}"
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class Create:
    """Create tasks over the API; each attempt up to `failures` fails.

    With `together` none is due before all have been created, so that there is a queue. With
    `outlasts` they work, at any speed, for longer than a lease or a start may take; deadlines
    come later by that.
    """

    count: int
    task_s: float = 1.0
    tag: str = ""
    task_type: str = TASK_TYPES[0]
    failures: int = 0
    retry: str = "fixed"
    together: bool = False
    outlasts: bool = False

    def __post_init__(self) -> None:
        _within("count", self.count, 1, MAX_TASKS)
        _within("task_s", self.task_s, 0, MAX_S)
        _within("failures", self.failures, 0, 100)
        _one_of("task_type", self.task_type, TASK_TYPES)
        _one_of("retry", self.retry, RETRY_STRATEGIES)


@dataclass(frozen=True, kw_only=True)
class AwaitTasks:
    """Go on as soon as all tasks (of the tag) are done, or the scenario's deadline has passed."""

    tag: str = ""


@dataclass(frozen=True, kw_only=True)
class AwaitShare:
    """Go on as soon as this share of all tasks created so far is done, or the time is over."""

    share: float
    at_most_s: float

    def __post_init__(self) -> None:
        _within("share", self.share, 0, 1)
        _within("at_most_s", self.at_most_s, 0, MAX_S)


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Let the system go on for a while."""

    for_s: float

    def __post_init__(self) -> None:
        _within("for_s", self.for_s, 0, MAX_S)


@dataclass(frozen=True, kw_only=True)
class KillWorker:
    """Kill, so many times, a worker that has tasks in its hands; start it again later."""

    times: int = 1
    down_s: float = 2.0
    restart: bool = True

    def __post_init__(self) -> None:
        _within("times", self.times, 1, MAX_TIMES)
        _within("down_s", self.down_s, 0, MAX_S)


@dataclass(frozen=True, kw_only=True)
class Chaos:
    """Kill workers that are at work, again and again, until all tasks are done.

    The time between kills is drawn from `interval_s`, and shortened where the work would be done
    before `at_least` kills.
    """

    interval_s: tuple[float, float]
    at_least: int = 1
    down_s: float = 2.0

    def __post_init__(self) -> None:
        low, high = self.interval_s
        _within("interval_s[0]", low, 0.001, MAX_S)
        _within("interval_s[1]", high, low, MAX_S)
        _within("at_least", self.at_least, 0, MAX_TIMES)
        _within("down_s", self.down_s, 0, MAX_S)


@dataclass(frozen=True, kw_only=True)
class KillServer:
    """Kill the HTTP server, so many times, and start it again."""

    times: int = 1
    down_s: float = 1.0

    def __post_init__(self) -> None:
        _within("times", self.times, 1, MAX_TIMES)
        _within("down_s", self.down_s, 0, MAX_S)


@dataclass(frozen=True, kw_only=True)
class StopDatabase:
    """Stop the database while the API is being asked, and start it again."""

    down_s: float = 10.0
    mode: str = "fast"

    def __post_init__(self) -> None:
        _within("down_s", self.down_s, 0, MAX_S)
        _one_of("mode", self.mode, STOP_MODES)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Have so many workers: start those that are missing, end the others in order."""

    workers: int

    def __post_init__(self) -> None:
        _within("workers", self.workers, 1, MAX_WORKERS)


@dataclass(frozen=True, kw_only=True)
class AwaitBreaker:
    """Wait until the circuit breaker of a task type is in a state; it is a failure if it is not."""

    task_type: str
    state: str
    within_s: float

    def __post_init__(self) -> None:
        _one_of("task_type", self.task_type, TASK_TYPES)
        _one_of("state", self.state, tuple(state.value for state in BreakerState))
        _within("within_s", self.within_s, 0, MAX_S)


@dataclass(frozen=True, kw_only=True)
class ExpectKept:
    """The breaker of the task type is open now, and no task of the tag has been begun."""

    task_type: str
    tag: str

    def __post_init__(self) -> None:
        _one_of("task_type", self.task_type, TASK_TYPES)


@dataclass(frozen=True, kw_only=True)
class CheckApi:
    """Run the checks of every path of the API; all must succeed."""


@dataclass(frozen=True, kw_only=True)
class CheckAdmin:
    """Have an administrator count the tasks of a tag; the count must be that of the scenario."""

    tag: str


@dataclass(frozen=True, kw_only=True)
class Call:
    """Whatever a Python scenario does with the running system."""

    function: Callable[["Stage"], None]


Phase = (
    Create
    | AwaitTasks
    | AwaitShare
    | Wait
    | KillWorker
    | Chaos
    | KillServer
    | StopDatabase
    | Scale
    | AwaitBreaker
    | ExpectKept
    | CheckApi
    | CheckAdmin
    | Call
)


@dataclass(frozen=True, kw_only=True)
class Program:
    """Phases in order, and what must come of them by the deadline, counted from the first task.

    With `may_be_late` tasks completed after the deadline count too, as a pass that was late.
    """

    workers: int
    phases: tuple[Phase, ...]
    deadline_s: float
    completion: float = 1.0
    may_be_late: bool = False
    steady_memory: bool = False

    def __post_init__(self) -> None:
        _within("workers", self.workers, 1, MAX_WORKERS)
        _within("deadline_s", self.deadline_s, 0.001, MAX_S)
        _within("completion", self.completion, 0, 1)
        if not self.phases:
            message = "phases is empty; give at least one"
            raise ValueError(message)
        # Whoever writes scenarios in Python may do without a type checker.
        given: tuple[object, ...] = self.phases
        for phase in given:
            if not isinstance(phase, Phase):
                message = f"{phase!r:.60} is no phase; use those of chaosfuzz.scenarios"
                raise TypeError(message)
