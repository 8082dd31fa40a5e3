"""Tests that every target has to pass."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from chaosfuzz.actions import all_actions, create_tasks, find_action, stop_database, wait, wait_idle
from chaosfuzz.checking import InvariantJudge, default_directories, load_invariants
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.action import Role
from chaosfuzz.domain.contract import Contract
from chaosfuzz.domain.fault import NoJournal
from chaosfuzz.domain.moment import Moment
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import (
    BackendTerminable,
    DatabaseStoppable,
    Inquirable,
    Killable,
    Lane,
    Pausable,
    Runner,
    System,
    Target,
    TargetDescription,
    TaskOperations,
    TaskService,
)
from chaosfuzz.domain.task import TaskStatus
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.domain.wire import Disconnectable, Intervention, Trappable
from chaosfuzz.execution import ScheduleRunner
from chaosfuzz.testing.driving import WORKER, Driver

WORK_MS = 150
# An undecided schedule (the machine stood still) is run so often at most. Chosen by hand.
DECIDING_RUNS = 3
# The protocol that a system with an ability implements.
PROTOCOLS: dict[Ability, type] = {
    Ability.TASKS: TaskService,
    Ability.TASK_OPERATIONS: TaskOperations,
    Ability.INQUIRIES: Inquirable,
    Ability.WORKERS: Killable,
    Ability.PAUSES: Pausable,
    Ability.SERVER: Killable,
    Ability.DATABASE: DatabaseStoppable,
    Ability.SESSIONS: BackendTerminable,
    Ability.WIRE: Disconnectable,
    Ability.REPLIES: Trappable,
}


class TargetConformance:
    """Tests of a target. Subclass it and define the fixture `target` (see chaosfuzz.testing)."""

    @pytest.fixture(scope="class")
    @classmethod
    def target(cls) -> Target:
        """Return the target under test."""
        message = f"{cls.__name__} has to define the fixture `target`"
        raise NotImplementedError(message)

    @pytest.fixture(scope="class")
    @classmethod
    def description(cls, target: Target) -> TargetDescription:
        """Return the description of the target."""
        return target.description

    @pytest.fixture(scope="class")
    @classmethod
    def lane(cls, target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
        """Yield one lane for all tests; skip its tests if the target has no lanes."""
        if not hasattr(target, "lane"):
            pytest.skip("the target has no lanes")
        with closing(target.lane(0, tmp_path_factory.mktemp("lane"))) as lane:
            yield lane

    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls, request: pytest.FixtureRequest) -> Iterator[Runner]:
        """Yield a runner of schedules. Override it for a target that runs schedules itself."""
        lane: Lane = request.getfixturevalue("lane")
        judge = InvariantJudge(load_invariants(default_directories()))
        runner = ScheduleRunner(lane, judge, NoJournal(), StopSignal())
        yield runner
        runner.stalls.close()

    @pytest.fixture
    def system(self, lane: Lane) -> Iterator[System]:
        """Yield a fresh system with one worker."""
        with closing(lane.open(1)) as system:
            yield system

    @pytest.fixture
    def driver(self, system: System) -> Driver:
        """Return a driver of the system."""
        return Driver(system)

    def test_it_describes_itself(self, description: TargetDescription) -> None:
        """It has a name, actions that exist, and a contract with bounds above 0."""
        assert description.name
        assert description.summary
        assert isinstance(description.contract, Contract)
        assert len(set(description.actions)) == len(description.actions)
        for name in description.actions:
            find_action(name)
        for bound in ("lease_ms", "recovery_ms", "request_timeout_ms", "health_ms"):
            assert getattr(description.contract, bound) > 0, bound
        for name in description.takes or ():
            create_tasks.parameter(name)

    def test_what_breaks_can_be_mended(self, description: TargetDescription) -> None:
        """It offers the action that heals each action it offers."""
        for action in all_actions():
            for healed in set(action.heals) & set(description.actions):
                assert action.name in description.actions, f"{action.name} heals {healed}"

    def test_its_systems_can_do_what_it_offers(
        self, description: TargetDescription, system: System
    ) -> None:
        """Its systems have the ability that each action it offers needs."""
        for name in description.actions:
            for ability in find_action(name).abilities & PROTOCOLS.keys():
                needed = PROTOCOLS[ability]
                assert isinstance(system, needed), f"{name} needs {needed.__name__}"

    def test_a_fresh_system_has_its_workers_and_nothing_to_do(self, lane: Lane) -> None:
        """A fresh system has the workers asked for, no tasks, no executions and no exits."""
        for workers in (1, 2):
            with closing(lane.open(workers)) as system:
                assert list(system.worker_names()) == [f"worker-{n + 1}" for n in range(workers)]
                assert system.observe(ask_health=False).tasks == ()
                assert list(system.executions()) == []
                assert list(system.exits()) == []

    def test_a_task_is_seen_done_once(self, driver: Driver) -> None:
        """A task has one row in the queue and one execution in the ledger, with the same id."""
        token = driver.ask(duration_ms=WORK_MS)
        driver.wait_done(token)
        (row,) = driver.rows(token)
        (run,) = driver.runs(token)
        assert row.status is TaskStatus.COMPLETED
        assert run.component == WORKER
        assert run.task_id == row.task_id
        assert run.end_ns is not None
        # The ledger's times differ from the handler's clock by less than a fifth.
        assert (run.end_ns - run.start_ns) / 1e6 >= 0.8 * WORK_MS

    def test_systems_are_apart(self, lane: Lane) -> None:
        """A fresh system has no tasks and executions of the system before it."""
        with closing(lane.open(1)) as system:
            Driver(system).works()
        with closing(lane.open(1)) as system:
            assert system.observe(ask_health=False).tasks == ()
            assert list(system.executions()) == []

    @pytest.mark.parametrize("graceful", [False, True])
    def test_a_killed_worker_is_gone_and_comes_back(self, driver: Driver, graceful: bool) -> None:
        """Kill and start return whether they had an effect; the exit is recorded as ordered."""
        system = driver.ability(Killable)
        assert system.kill(WORKER, graceful=graceful)
        assert list(driver.system.worker_names()) == []
        assert not system.kill(WORKER, graceful=graceful), "it was gone"
        (gone,) = driver.system.exits()
        assert gone.component == WORKER
        assert gone.ordered
        assert system.start(WORKER)
        assert not system.start(WORKER), "it was up"
        assert list(driver.system.worker_names()) == [WORKER]
        driver.works()

    def test_a_paused_worker_stands_still_until_resumed(self, driver: Driver) -> None:
        """Pause and resume return whether they had an effect; a paused worker runs no task."""
        system = driver.ability(Pausable)
        assert not system.resume(WORKER), "it was not paused"
        assert system.pause(WORKER)
        assert not system.pause(WORKER), "it was paused"
        assert list(driver.system.worker_names()) == [WORKER], "a frozen worker still runs"
        token = driver.ask()
        assert driver.runs(token) == []
        assert system.resume(WORKER)
        driver.wait_done(token)

    def test_a_stopped_database_cannot_be_read_until_started(
        self, driver: Driver, description: TargetDescription
    ) -> None:
        """While the database is down tasks are unknown; afterwards they are there again."""
        if stop_database.name not in description.actions:
            pytest.skip("the target does not offer it")
        system = driver.ability(DatabaseStoppable)
        driver.works()
        assert system.stop_database("fast")
        assert not system.stop_database("fast"), "it was down"
        assert driver.system.observe(ask_health=False).tasks is None
        assert system.start_database()
        assert not system.start_database(), "it was up"
        driver.wait(
            lambda: len(driver.system.observe(ask_health=False).tasks or ()) >= 1,
            "the queue holds its tasks again",
        )

    def test_a_worker_survives_being_cut_off(self, driver: Driver) -> None:
        """Cut, hold and release return whether they had an effect."""
        system = driver.ability(Disconnectable)
        assert not system.cut("worker-5"), "there is no such worker"
        assert not system.release(WORKER), "it is not held"
        assert system.hold(WORKER, 0)
        assert not system.hold(WORKER, 0), "it is held"
        assert system.release(WORKER)
        driver.works()
        assert system.cut(WORKER)

    def test_no_session_of_nobody_is_ended(self, driver: Driver) -> None:
        """Ending a session of a component that does not exist returns False."""
        assert not driver.ability(BackendTerminable).terminate_backend("worker-5", 0)

    def test_moments_come(self, driver: Driver) -> None:
        """A worker's requests for one task come again for the next, and faults can strike there."""
        system = driver.ability(Trappable)
        driver.works()
        events = {r.event for r in system.requests() if r.component == WORKER}
        if not events:
            pytest.skip("no request of the worker is seen")
        sprung = threading.Event()
        traps = [
            system.set_trap(
                WORKER, Moment(event=event), Intervention.FREEZE, sprung.set, hold_ms=1000
            )
            for event in sorted(events)
        ]
        token = driver.ask()
        assert sprung.wait(30), "none of its requests came again"
        for trap in traps:
            assert trap is not None
            trap.release()
        system.unfreeze(WORKER)
        driver.wait_done(token)

    def test_an_undisturbed_schedule_holds(
        self, runner: Runner, description: TargetDescription
    ) -> None:
        """No invariant finds anything in a run without faults."""
        if create_tasks.name not in description.actions:
            pytest.skip("the target takes no tasks")
        load = create_tasks(count=4, duration_ms=20)
        schedule = Schedule(workers=2, steps=(load, wait_idle(), load))
        for _ in range(DECIDING_RUNS):
            result = runner.run(schedule)
            if result.verdict is not Verdict.UNKNOWN:
                break
        assert result.verdict is Verdict.HOLDS, (result.failure, result.undecided)

    @pytest.mark.parametrize(
        "name", [a.name for a in all_actions() if a.role is Role.FAULT and not a.needs_moment]
    )
    def test_every_fault_offered_can_be_done_and_healed(
        self, runner: Runner, description: TargetDescription, name: str
    ) -> None:
        """A run with the fault ends with a verdict, and the harness does not fail."""
        if name not in description.actions:
            pytest.skip("the target does not offer it")
        steps = [find_action(name)(), wait(ms=5)]
        if create_tasks.name in description.actions:
            steps.insert(0, create_tasks(count=1))
        result = runner.run(Schedule(workers=1, steps=tuple(steps)))
        assert result.steps_run >= 1
        assert result.verdict in set(Verdict)
