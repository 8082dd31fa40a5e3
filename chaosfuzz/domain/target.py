"""Targets and what they can do. Optional abilities are protocols of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from chaosfuzz.domain.contract import Contract
from chaosfuzz.domain.history import History, InquiryKind, Observation
from chaosfuzz.domain.outcome import Reply
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.task import Execution, TaskRequest
from chaosfuzz.domain.verdict import Failure, Signature, Verdict
from chaosfuzz.domain.wire import Request


@dataclass(frozen=True, kw_only=True)
class Exit:
    """A component's process that ended since it was last asked; `at_ns` is when, 0 just now."""

    component: str
    pid: int
    exit_code: int
    ordered: bool
    detail: str = ""
    at_ns: int = 0


class System(Protocol):
    """One fresh, running copy of the target; everything a run needs beside abilities."""

    @property
    def contract(self) -> Contract:
        """What the target promises."""
        ...

    def observe(self, *, ask_health: bool, count_sessions: bool = False) -> Observation:
        """Read the queue, and the target's health and database sessions if asked."""
        ...

    def executions(self) -> Sequence[Execution]:
        """Read the ledger."""
        ...

    def exits(self) -> Sequence[Exit]:
        """Return processes that ended since the last call."""
        ...

    def worker_names(self) -> Sequence[str]:
        """Return the components of the worker role that run now."""
        ...

    def close(self) -> None:
        """End the system and free what it holds."""
        ...


@runtime_checkable
class TaskService(Protocol):
    """Can take tasks from clients."""

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        """Ask for a task; the same token again is the same request again."""
        ...


@runtime_checkable
class TaskOperations(Protocol):
    """Can take back or repeat tasks for clients."""

    def cancel(self, task_id: str, user: int) -> Reply:
        """Ask to cancel, as the user (from 0) who created it."""
        ...

    def retry(self, task_id: str, user: int) -> Reply:
        """Ask to retry, as the user (from 0) who created it."""
        ...


@runtime_checkable
class Inquirable(Protocol):
    """Can be asked what it holds."""

    def inquire(self, kind: InquiryKind, user: int, limit: int) -> Reply:
        """Ask as a user (from 0) for at most so many."""
        ...


@runtime_checkable
class ApiService(Protocol):
    """Answers requests that change nothing."""

    base_url: str

    def ask(self, path: str) -> Reply:
        """GET a path as the first user; never raises for a server that does not answer."""
        ...


@runtime_checkable
class DatabaseService(Protocol):
    """Has a database that an administrator may look into."""

    dsn: str


@runtime_checkable
class Measurable(Protocol):
    """Can tell what its components take of the machine."""

    def memory_bytes(self) -> int:
        """Return the resident memory of all components that run."""
        ...


@runtime_checkable
class Killable(Protocol):
    """Can end and start its components."""

    def kill(self, component: str, *, graceful: bool) -> bool:
        """End a component and wait until it is gone; False if it was not running."""
        ...

    def start(self, component: str) -> bool:
        """Start a component and wait until it is ready; False if it was running."""
        ...


@runtime_checkable
class Pausable(Protocol):
    """Can freeze its components."""

    def pause(self, component: str) -> bool:
        """Freeze; False if it does not run or is frozen."""
        ...

    def resume(self, component: str) -> bool:
        """Let go on; False if it is not frozen."""
        ...


@runtime_checkable
class DatabaseStoppable(Protocol):
    """Can lose its database."""

    def stop_database(self, mode: str) -> bool:
        """Stop fast, immediate or kill; False if it was down."""
        ...

    def start_database(self) -> bool:
        """Start; False if it was up."""
        ...


@runtime_checkable
class BackendTerminable(Protocol):
    """Can lose single database sessions."""

    def terminate_backend(self, component: str, session: int) -> bool:
        """End a session of a component (1 is the oldest, 0 all); False if there is none."""
        ...


class Lane(Protocol):
    """One isolated copy of everything a schedule needs, warm between schedules."""

    def open(self, workers: int) -> System:
        """Return a fresh system with so many workers, up and ready."""
        ...

    def close(self) -> None:
        """End everything the lane started."""
        ...


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What became of one schedule.

    `also` are failures that the same look at the system showed beside `failure`.
    `limits` are documented limits that it shows; they are no failures. `moments` is how many of
    its moments came, `missed` the steps (from 0) whose moment never did: a run with one of those
    proves neither that a promise holds nor that it is broken.
    """

    schedule: Schedule
    verdict: Verdict
    failure: Failure | None = None
    also: tuple[Failure, ...] = ()
    steps_run: int = 0
    duration_s: float = 0.0
    waited_s: float = 0.0
    states_seen: frozenset[str] = frozenset()
    faults: int = 0
    moments: int = 0
    missed: tuple[int, ...] = ()
    undecided: tuple[str, ...] = ()
    limits: tuple[Failure, ...] = ()
    story: tuple[str, ...] = ()
    phases_s: tuple[tuple[str, float], ...] = field(default=())
    history: History | None = None

    def showing(self, signature: Signature) -> "RunResult":
        """Return the result with the failure of this signature in front, if it shows it.

        Which of several comes first depends on the instant at which one looked.
        """
        shown = (self.failure, *self.also)
        found = next((each for each in shown if each and each.signature == signature), None)
        if found is None or found is self.failure:
            return self
        others = tuple(each for each in shown if each and each is not found)
        return replace(self, failure=found, also=others)


class Runner(Protocol):
    """Runs one schedule against a target and judges it."""

    def run(self, schedule: Schedule) -> RunResult:
        """Run; raises InfrastructureError if the harness or its environment failed."""
        ...

    def close(self) -> None:
        """Free what the runner holds."""
        ...


@runtime_checkable
class TracingRunner(Protocol):
    """Can tell what components asked their database in a run."""

    def trace(self, schedule: Schedule) -> tuple[RunResult, tuple[Request, ...]]:
        """Run without judging; also return the requests, in order."""
        ...


@dataclass(frozen=True, kw_only=True)
class Defect:
    """A realistic mistake that can be switched on."""

    name: str
    summary: str
    mirrors: str


@dataclass(frozen=True, kw_only=True)
class TargetDescription:
    """What a target is and offers.

    `takes` are the arguments of create_tasks beside the count that it heeds; None: all.
    """

    name: str
    summary: str
    actions: tuple[str, ...]
    contract: Contract
    defects: tuple[Defect, ...] = ()
    takes: tuple[str, ...] | None = None


class Target(Protocol):
    """A system under test: how to get a lane of it."""

    @property
    def description(self) -> TargetDescription:
        """What it is and offers."""
        ...

    def lane(self, index: int, directory: Path) -> Lane:
        """Return lane number `index`, keeping logs in the directory."""
        ...
