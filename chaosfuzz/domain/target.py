"""Protocols of targets, their lanes and systems. Optional abilities are protocols of their own."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from chaosfuzz.domain.check_result import CheckResult
from chaosfuzz.domain.contract import Contract, Guarantee
from chaosfuzz.domain.excuses import ExcusedRun
from chaosfuzz.domain.history import History, InquiryKind, Observation, ProcessExit
from chaosfuzz.domain.outcome import Reply
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.task import Execution, TaskRequest
from chaosfuzz.domain.verdict import Failure, Signature, Verdict
from chaosfuzz.domain.wire import Request, Wire

MakeWire = Callable[[str], Wire]
"""Makes a proxy that listens at an address of this machine."""


class System(Protocol):
    """One fresh, running copy of the target, with the methods that every run needs."""

    @property
    def contract(self) -> Contract:
        """The promises of the target."""
        ...

    def observe(self, *, ask_health: bool, count_sessions: bool = False) -> Observation:
        """Read the queue, and the target's health and database sessions if asked."""
        ...

    def executions(self) -> Sequence[Execution]:
        """Return all executions in the ledger."""
        ...

    def exits(self) -> Sequence[ProcessExit]:
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
    """A system that takes tasks from clients."""

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        """Ask for a task that is due at `due_ns` of the monotonic clock.

        A second call with the same token repeats the request with the same idempotency key.
        """
        ...


@runtime_checkable
class TaskOperations(Protocol):
    """A system whose clients can cancel and retry tasks."""

    def cancel(self, task_id: str, user: int) -> Reply:
        """Ask to cancel a task, as the user (from 0) who created it."""
        ...

    def retry(self, task_id: str, user: int) -> Reply:
        """Ask to retry a task, as the user (from 0) who created it."""
        ...


@runtime_checkable
class Inquirable(Protocol):
    """A system whose clients can list tasks."""

    def inquire(self, kind: InquiryKind, user: int, limit: int) -> Reply:
        """Ask as a user (from 0) for at most `limit` entries."""
        ...


@runtime_checkable
class ApiService(Protocol):
    """A system with an HTTP API."""

    base_url: str

    def ask(self, path: str) -> Reply:
        """GET a path as the first user. If the server does not answer, the reply says so."""
        ...


@runtime_checkable
class DatabaseService(Protocol):
    """A system with a database that accepts an administrator's connections at `dsn`."""

    dsn: str


@runtime_checkable
class Measurable(Protocol):
    """A system that measures its components."""

    def memory_bytes(self) -> int:
        """Return the resident memory of all components that run."""
        ...


@runtime_checkable
class Killable(Protocol):
    """A system whose components can be ended and started."""

    def kill(self, component: str, *, graceful: bool) -> bool:
        """End a component and wait until it has ended. Return False if it did not run."""
        ...

    def start(self, component: str) -> bool:
        """Start a component and wait until it is ready.

        Return False if it ran already or cannot exist. A system of a profile does not wait while
        the database is down. A component that does not become ready is no error if a profile's
        command runs it; other systems raise InfrastructureError then.
        """
        ...


@runtime_checkable
class Pausable(Protocol):
    """A system whose components can be frozen."""

    def pause(self, component: str) -> bool:
        """Freeze a component. Return False if it does not run or is frozen already."""
        ...

    def resume(self, component: str) -> bool:
        """Resume a component. Return False if it is not frozen."""
        ...


@runtime_checkable
class DatabaseStoppable(Protocol):
    """A system whose database can be stopped."""

    def stop_database(self, mode: str) -> bool:
        """Stop the database: `fast`, `immediate` or `kill`. Return False if it was down."""
        ...

    def start_database(self) -> bool:
        """Start the database, and wait until it takes connections. Return False if it was up."""
        ...


@runtime_checkable
class BackendTerminable(Protocol):
    """A system whose database sessions can be ended."""

    def terminate_backend(self, component: str, session: int) -> bool:
        """End a session of a component: 1 is the oldest, 0 all. Return False if there is none."""
        ...


class Lane(Protocol):
    """One isolated copy of all that a schedule needs; it stays up between schedules."""

    def open(self, workers: int) -> System:
        """Return a fresh system with so many workers, ready for work."""
        ...

    def close(self) -> None:
        """End everything the lane started."""
        ...


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of one run of a schedule.

    - `also`: failures that the same check showed beside `failure`.
    - `limits`: documented limits that showed; they are no failures.
    - `moments`: how many moments came. `missed`: indices of the steps whose moment did not come; a
      run with such a step does not prove that a promise holds.
    - `excused`: executions that repeated a task after a fault that justifies it.
    - `undecided`: reasons of what could not be decided.
    - `waited_s`: the part of `duration_s` that was waited. `phases_s`: how long each phase took.
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
    excused: tuple[ExcusedRun, ...] = ()

    def showing(self, signature: Signature) -> "RunResult":
        """Return the result with the failure of this signature, if there is one, as `failure`.

        The order of several failures depends on the instant of the check.
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
        """Run a schedule. Raises InfrastructureError if the harness or its environment failed."""
        ...

    def close(self) -> None:
        """Free what the runner holds."""
        ...


@runtime_checkable
class TracingRunner(Protocol):
    """A runner that records the requests of components to their database."""

    def trace(self, schedule: Schedule) -> tuple[RunResult, tuple[Request, ...]]:
        """Run without judging; also return the requests, in order."""
        ...


@dataclass(frozen=True, kw_only=True)
class Defect:
    """A known mistake that can be planted; `mirrors` names the real bug that it is like."""

    name: str
    summary: str
    mirrors: str


@dataclass(frozen=True, kw_only=True)
class TargetDescription:
    """The properties of a target.

    - `actions`: names of the actions that it offers.
    - `takes`: arguments of create_tasks beside the count that it heeds; None: all.
    - `moments`: requests of its components to the database can be seen, and faults pinned to them.
    - `profile`: the file name of the profile that the user named; empty: no file was named. Replays
      of its cases need the file, too.
    - `released`: it is a fixed release of another project's system, so that failures found in it
      are expected to stay.
    - `invariants`: promises that the target judges itself (see Simulated), beside those of files.
    """

    name: str
    summary: str
    actions: tuple[str, ...]
    contract: Contract
    defects: tuple[Defect, ...] = ()
    takes: tuple[str, ...] | None = None
    profile: str = ""
    released: bool = False
    moments: bool = True
    invariants: tuple[str, ...] = ()


@runtime_checkable
class Target(Protocol):
    """A system under test. It runs schedules as a LaneTarget or as a RunnerTarget."""

    @property
    def description(self) -> TargetDescription:
        """The properties of the target."""
        ...


@runtime_checkable
class LaneTarget(Target, Protocol):
    """A target with lanes, on which chaosfuzz runs and judges schedules."""

    def lane(self, index: int, directory: Path) -> Lane:
        """Return lane number `index`, keeping logs in the directory."""
        ...


@runtime_checkable
class RunnerTarget(Target, Protocol):
    """A target that runs and judges schedules itself."""

    def runner(self, *, seed: int) -> Runner:
        """Return a runner; the seed decides all random choices of it."""
        ...


@runtime_checkable
class DefectTarget(Target, Protocol):
    """A target in which the defects of `description.defects` can be planted."""

    def with_defects(self, names: tuple[str, ...]) -> Target:
        """Return the target with these defects and no others. The caller has checked the names."""
        ...


@runtime_checkable
class GuaranteeTarget(Target, Protocol):
    """A target with several delivery guarantees, of which one is chosen."""

    @property
    def guarantees(self) -> tuple[Guarantee, ...]:
        """The guarantees to choose from."""
        ...

    def with_guarantee(self, guarantee: Guarantee) -> Target:
        """Return the target with a contract that promises this guarantee."""
        ...


@runtime_checkable
class PlacedTarget(Target, Protocol):
    """A target that can run on another platform than processes of this machine."""

    @property
    def places(self) -> tuple[str, ...]:
        """The other platforms, as the option `--on` names them."""
        ...

    def on(self, place: str) -> Target:
        """Return the target on that platform."""
        ...


@runtime_checkable
class WiredTarget(Target, Protocol):
    """A target that can have a proxy between components and database, which moments need."""

    def with_wire(self, make_wire: MakeWire) -> Target:
        """Return the target whose lanes each make a proxy."""
        ...


@runtime_checkable
class ColdTarget(Target, Protocol):
    """A target that also has lanes that keep nothing between schedules, for benchmarks."""

    def cold_lane(self, index: int, directory: Path) -> Lane:
        """Return lane number `index`, keeping logs in the directory."""
        ...


@runtime_checkable
class CheckedTarget(Target, Protocol):
    """A target that checks whether it can run on this machine."""

    def check_machine(self) -> Iterable[CheckResult]:
        """Check the needs of the target, and clean up after each check.

        `chaosfuzz doctor` shows the results. A BROKEN one fails doctor only for the bundled system.
        """
        ...
