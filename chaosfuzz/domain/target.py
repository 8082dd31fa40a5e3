"""Targets and what they can do. Optional abilities are protocols of their own."""

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
    proves neither that a promise holds nor that it is broken. `excused` are executions that
    repeated a task after a fault that justifies it.
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

    `takes` are the arguments of create_tasks beside the count that it heeds; None: all. `moments`
    says whether requests of its components to the database can be seen and struck.
    `profile` is the file name of the profile that the user named, empty if no file was named:
    whoever replays a case of it has to name the file again. `released` targets are fixed releases
    of other people's systems: a failure found in one is expected to stay. `invariants` are the
    promises that the target judges itself (see Simulated), beside those of files.
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
        """What it is and offers."""
        ...


@runtime_checkable
class LaneTarget(Target, Protocol):
    """Gives lanes, on which chaosfuzz runs and judges schedules."""

    def lane(self, index: int, directory: Path) -> Lane:
        """Return lane number `index`, keeping logs in the directory."""
        ...


@runtime_checkable
class RunnerTarget(Target, Protocol):
    """Runs and judges schedules itself."""

    def runner(self, *, seed: int) -> Runner:
        """Return a runner; the seed decides what it leaves to chance."""
        ...


@runtime_checkable
class DefectTarget(Target, Protocol):
    """Can have defects planted, which `description.defects` lists."""

    def with_defects(self, names: tuple[str, ...]) -> Target:
        """Return the target with these defects and no others."""
        ...


@runtime_checkable
class GuaranteeTarget(Target, Protocol):
    """Can be asked to promise something else than its description says."""

    @property
    def guarantees(self) -> tuple[Guarantee, ...]:
        """What it can be asked to promise."""
        ...

    def with_guarantee(self, guarantee: Guarantee) -> Target:
        """Return the target whose contract promises this."""
        ...


@runtime_checkable
class PlacedTarget(Target, Protocol):
    """Can run as something else than processes of this machine."""

    @property
    def places(self) -> tuple[str, ...]:
        """What else it can run as, as `--on` names it."""
        ...

    def on(self, place: str) -> Target:
        """Return the target as it runs there."""
        ...


@runtime_checkable
class WiredTarget(Target, Protocol):
    """Can have a proxy between its components and their database, so that moments come."""

    def with_wire(self, make_wire: MakeWire) -> Target:
        """Return the target whose lanes each make a proxy."""
        ...


@runtime_checkable
class ColdTarget(Target, Protocol):
    """Has lanes that keep nothing between schedules, which benchmarks compare the others with."""

    def cold_lane(self, index: int, directory: Path) -> Lane:
        """Return lane number `index`, keeping logs in the directory."""
        ...


@runtime_checkable
class CheckedTarget(Target, Protocol):
    """Can tell whether this machine has what it needs."""

    def check_machine(self) -> Iterable[CheckResult]:
        """Look for what the target needs; nothing of what is tried remains.

        `chaosfuzz doctor` shows the results. Only of the bundled system is one that is BROKEN
        taken for a machine that cannot fuzz.
        """
        ...
