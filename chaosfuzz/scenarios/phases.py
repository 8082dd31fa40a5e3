"""The phases of a scenario, as data. Times are seconds at speed 1."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from chaosfuzz.checked_toml import FromToml, Table, key
from chaosfuzz.domain.action import RETRY_STRATEGIES, STOP_MODES, TASK_TYPES
from chaosfuzz.domain.breaker import BreakerState
from chaosfuzz.domain.errors import WrongValueError

if TYPE_CHECKING:
    from chaosfuzz.scenarios.stage import Stage

MAX_TASKS, MAX_WORKERS, MAX_TIMES, MAX_S = 1000, 5, 100, 3600.0


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise WrongValueError(f"{name} is {value:g}", f"use {low:g} to {high:g}")


def _one_of(*known: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known:
            raise WrongValueError(f"{value!r} is unknown", f"use one of: {', '.join(known)}")
        return value

    return AfterValidator(check)


Seconds = Annotated[float, Field(ge=0, le=MAX_S)]
Interval = Annotated[float, Field(ge=0.001, le=MAX_S)]
Times = Annotated[int, Field(ge=1, le=MAX_TIMES)]
TaskType = Annotated[str, _one_of(*TASK_TYPES)]


class Create(Table):
    """Create tasks over the API."""

    count: int = key("how many tasks", ge=1, le=MAX_TASKS)
    task_s: Seconds = key("how long each task works", 1.0)
    tag: str = key("tag of these tasks", "")
    task_type: TaskType = key("type of these tasks", TASK_TYPES[0])
    failures: int = key("how many attempts of each task fail", 0, ge=0, le=100)
    retry: Annotated[str, _one_of(*RETRY_STRATEGIES)] = key("strategy of retries", "fixed")
    together: bool = key("none is due before all are created", default=False)
    outlasts: bool = key(
        "each works, at any speed, for longer than a lease or a start may take; deadlines come "
        "later by that",
        default=False,
    )


class AwaitTasks(Table):
    """Go on as soon as all tasks (of the tag) are done, or the scenario's deadline has passed."""

    tag: str = key("tag of the tasks, all tasks if empty", "")


class AwaitShare(Table):
    """Go on as soon as a share of all tasks created so far is done, or the time is over."""

    share: float = key("the share", ge=0, le=1)
    at_most_s: Seconds = key("how long to wait at most")


class Wait(Table):
    """Let the system go on for a while."""

    for_s: Seconds = key("how long")


class KillWorker(Table):
    """Kill a worker that executes tasks, and start it again later."""

    times: Times = key("how often", 1)
    down_s: Seconds = key("how long until it is started again", 2.0)
    restart: bool = key("false: it stays dead", default=True)


class Chaos(Table):
    """Kill workers that execute tasks, again and again, until all tasks are done.

    The time between kills is drawn from `interval_s`, and shortened where the work would be done
    before `at_least` kills.
    """

    interval_s: Annotated[tuple[Interval, Interval], FromToml] = key(
        "shortest and longest time between kills"
    )
    at_least: int = key("how many kills", 1, ge=0, le=MAX_TIMES)
    down_s: Seconds = key("how long until a worker is started again", 2.0)

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Refuse an interval that ends before it begins."""
        match given.get("interval_s"):
            case [int() | float() as low, int() | float() as high] if high < low:
                yield "interval_s", f"it ends at {high:g}, before {low:g}", "put the shorter first"


class KillServer(Table):
    """Kill the HTTP server, and start it again."""

    times: Times = key("how often", 1)
    down_s: Seconds = key("how long until it is started again", 1.0)


class StopDatabase(Table):
    """Stop the database while the API is being asked, and start it again."""

    down_s: Seconds = key("how long until it is started again", 10.0)
    mode: Annotated[str, _one_of(*STOP_MODES)] = key("how it is stopped", "fast")


class Scale(Table):
    """Start the workers that are missing, or end the surplus ones in order."""

    workers: int = key("how many workers there are then", ge=1, le=MAX_WORKERS)


class AwaitBreaker(Table):
    """Wait until the circuit breaker of a task type is in a state; fail if it never is."""

    task_type: TaskType = key("the task type")
    state: Annotated[str, _one_of(*BreakerState)] = key("the state")
    within_s: Seconds = key("how long to wait at most")


class ExpectKept(Table):
    """Expect the breaker of the task type to be open, and no task of the tag to have begun."""

    task_type: TaskType = key("the task type")
    tag: str = key("tag of the tasks")


class CheckApi(Table):
    """Run the checks of every path of the API; all must succeed."""


class CheckAdmin(Table):
    """Have an administrator count the tasks of a tag; the count must be that of the scenario."""

    tag: str = key("tag of the tasks")


@dataclass(frozen=True, kw_only=True)
class Call:
    """Call a function of a Python scenario with the stage, which gives it the running system."""

    function: Callable[["Stage"], None]


# The phases that a TOML file can name.
TomlPhase = (
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
)
Phase = TomlPhase | Call


@dataclass(frozen=True, kw_only=True)
class Program:
    """Phases in order, and the share of tasks to complete by the deadline.

    The deadline counts from the first task. At least `completion` must be completed by then; with
    `may_be_late` tasks completed later count too, and the result is then PASS*. If more than
    `at_most` is completed by then, the load did not overload the system: NOT OVERLOADED.
    """

    workers: int
    phases: tuple[Phase, ...]
    deadline_s: float
    completion: float = 1.0
    may_be_late: bool = False
    at_most: float = 1.0
    steady_memory: bool = False

    def __post_init__(self) -> None:
        _within("workers", self.workers, 1, MAX_WORKERS)
        _within("deadline_s", self.deadline_s, 0.001, MAX_S)
        _within("completion", self.completion, 0, 1)
        _within("at_most", self.at_most, self.completion, 1)
        if not self.phases:
            raise WrongValueError("phases is empty", "give at least one")
        # Python scenarios may be written without a type checker.
        given: tuple[object, ...] = self.phases
        for phase in given:
            if not isinstance(phase, Phase):
                message = f"{phase!r:.60} is no phase. Use those of chaosfuzz.scenarios."
                raise TypeError(message)
