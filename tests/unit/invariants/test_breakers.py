from typing import TYPE_CHECKING

import pytest

from chaosfuzz.domain import BreakerState, FaultKind, OperationKind, TaskStatus
from chaosfuzz.domain.breaker import Breaker, BreakerTransition
from chaosfuzz.domain.contract import BreakerBounds

if TYPE_CHECKING:
    from chaosfuzz.testing import HistoryBuilder

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
BOUNDS = BreakerBounds(failures=3, open_ms=150, successes=2)


def seen(state: BreakerState, let_through: int) -> tuple[Breaker, ...]:
    return (Breaker(task_type="probe", state=state, opened=1, let_through=let_through),)


def turn(before: BreakerState, after: BreakerState, at_ms: float) -> BreakerTransition:
    return BreakerTransition(task_type="probe", before=before, after=after, at_ms=at_ms)


class TestOpenBreakerKeepsTasks:
    def test_finds_a_task_claimed_while_it_was_open(self, past: "HistoryBuilder"):
        (finding,) = past.observed(5, breakers=seen(OPEN, 1)).check("open_breaker_keeps_tasks")
        assert finding.message == (
            "1 tasks of type probe were claimed while its circuit breaker was open"
        )

    @pytest.mark.parametrize(("state", "held"), [(OPEN, 0), (HALF_OPEN, 1), (CLOSED, 4)])
    def test_holds_otherwise(self, past: "HistoryBuilder", state: BreakerState, held: int):
        assert past.observed(5, breakers=seen(state, held)).check("open_breaker_keeps_tasks") == []


class TestOneProbeAtATime:
    def test_finds_two(self, past: "HistoryBuilder"):
        (finding,) = past.observed(5, breakers=seen(HALF_OPEN, 2)).check("one_probe_at_a_time")
        assert (
            finding.message == "the half-open circuit breaker of probe let 2 tasks through at once"
        )

    @pytest.mark.parametrize(("state", "held"), [(HALF_OPEN, 1), (CLOSED, 4)])
    def test_holds_for_one_and_when_closed(
        self, past: "HistoryBuilder", state: BreakerState, held: int
    ):
        assert past.observed(5, breakers=seen(state, held)).check("one_probe_at_a_time") == []


class TestBreakerTakesItsTurns:
    def check(self, past: "HistoryBuilder", *turns: BreakerTransition) -> list[str]:
        past.promises(breaker=BOUNDS)
        past.observed(5, transitions=turns)
        return [finding.message for finding in past.check("breaker_takes_its_turns")]

    def test_holds_for_the_whole_round(self, past: "HistoryBuilder"):
        round_trip = (
            turn(CLOSED, OPEN, 1000),
            turn(OPEN, HALF_OPEN, 1150),
            turn(HALF_OPEN, OPEN, 1160),
            turn(OPEN, HALF_OPEN, 1400),
            turn(HALF_OPEN, CLOSED, 1410),
        )
        assert self.check(past, *round_trip) == []

    def test_finds_an_open_one_that_closes(self, past: "HistoryBuilder"):
        found = self.check(past, turn(CLOSED, OPEN, 1000), turn(OPEN, CLOSED, 1010))
        assert found == ["the breaker of probe went from open to closed"]

    def test_finds_one_that_was_open_too_short(self, past: "HistoryBuilder"):
        found = self.check(past, turn(CLOSED, OPEN, 1000), turn(OPEN, HALF_OPEN, 1100))
        assert found == ["the breaker of probe was open for 100 ms; the contract promises 150 ms"]

    def test_does_not_judge_times_of_a_clock_that_went_back(self, past: "HistoryBuilder"):
        assert self.check(past, turn(CLOSED, OPEN, 1000), turn(OPEN, HALF_OPEN, 400)) == []


class TestBreakerOpens:
    def failing(self, past: "HistoryBuilder", times: int = 3) -> "HistoryBuilder":
        past.promises(breaker=BOUNDS)
        past.created()
        for attempt in range(1, times + 1):
            at = 100 * attempt
            past.executed(1, at, at + 5, result="failed", attempt=attempt, worker=attempt)
        return past

    def test_finds_failures_on_many_workers_that_opened_nothing(self, past: "HistoryBuilder"):
        self.failing(past).observed(900)
        (finding,) = past.check("breaker_opens")
        assert finding.message == (
            "3 executions of type probe failed in a row, and its circuit breaker never opened"
        )

    def test_holds_if_it_opened(self, past: "HistoryBuilder"):
        self.failing(past).observed(900, transitions=(turn(CLOSED, OPEN, 1),))
        assert past.check("breaker_opens") == []

    def test_holds_for_too_few_failures(self, past: "HistoryBuilder"):
        assert self.failing(past, 2).observed(900).check("breaker_opens") == []

    def test_does_not_count_failures_of_another_type(self, past: "HistoryBuilder"):
        self.failing(past, 2).created(2, task_type=1).executed(2, 400, 405, result="failed")
        assert past.observed(900).check("breaker_opens") == []

    def test_does_not_judge_failures_near_a_success(self, past: "HistoryBuilder"):
        self.failing(past).created(2).executed(2, 310, 312)
        assert past.observed(900).check("breaker_opens") == []

    def test_does_not_count_failures_that_a_fault_may_have_hidden(self, past: "HistoryBuilder"):
        self.failing(past).fault(FaultKind.DATABASE_DOWN, "database", 103, 104)
        assert past.observed(900).check("breaker_opens") == []

    def test_does_not_count_failures_of_a_cancelled_task(self, past: "HistoryBuilder"):
        self.failing(past).operated(OperationKind.CANCEL, 1, 304)
        assert past.observed(900).check("breaker_opens") == []

    def test_does_not_judge_a_target_without_breakers(self, past: "HistoryBuilder"):
        self.failing(past).observed(900)
        past.promises(breaker=None)
        assert past.check("breaker_opens") == []


class TestBuriedTasksHaveRun:
    def buried(self, past: "HistoryBuilder") -> "HistoryBuilder":
        row = past.row(1, TaskStatus.FAILED, attempts=3, last_error="the breaker is open")
        return past.created().observed(300, row)

    def test_finds_one_that_nobody_ran(self, past: "HistoryBuilder"):
        (finding,) = self.buried(past).check("buried_tasks_have_run")
        assert finding.message == (
            "task 1 failed for good after 3 attempts, without one execution: the breaker is open"
        )

    def test_holds_for_one_that_ran(self, past: "HistoryBuilder"):
        assert (
            self.buried(past).executed(1, 1, 2, result="failed").check("buried_tasks_have_run")
            == []
        )

    def test_is_excused_by_a_fault_before_it_was_buried(self, past: "HistoryBuilder"):
        self.buried(past).fault(FaultKind.KILLED, "worker-1", 200, 210)
        assert past.check("buried_tasks_have_run") == []

    def test_is_not_excused_by_a_fault_afterwards(self, past: "HistoryBuilder"):
        self.buried(past).fault(FaultKind.KILLED, "worker-1", 400, 410)
        assert len(past.check("buried_tasks_have_run")) == 1


class TestFreeSlotsTakeWork:
    def waiting(self, past: "HistoryBuilder", *, starts: int = 1500) -> "HistoryBuilder":
        """Task 3 waits while one of two slots of worker 1 is free from 20 on."""
        past.promises(slots_per_worker=2)
        past.observed(0, components_up=("worker-1",)).observed(1500, components_up=("worker-1",))
        past.created(1).created(2).created(3)
        past.executed(1, 2, 1490).executed(2, 3, 20)
        return past.executed(3, starts, starts + 5)

    def test_finds_a_task_that_waits_beside_a_free_slot(self, past: "HistoryBuilder"):
        (finding,) = self.waiting(past).check("free_slots_take_work")
        assert finding.message == "task 3 was ready and worker-1 had a free slot for 1480 ms"
        assert finding.tasks == (3,)

    def test_holds_for_one_that_starts_in_time(self, past: "HistoryBuilder"):
        assert self.waiting(past, starts=900).check("free_slots_take_work") == []

    def test_holds_while_all_slots_are_taken(self, past: "HistoryBuilder"):
        assert (
            self.waiting(past).created(4).executed(4, 30, 1480).check("free_slots_take_work") == []
        )

    def test_adds_up_no_two_stretches(self, past: "HistoryBuilder"):
        assert (
            self.waiting(past).created(4).executed(4, 750, 760).check("free_slots_take_work") == []
        )

    def test_is_excused_by_any_fault_shortly_before_or_meanwhile(self, past: "HistoryBuilder"):
        self.waiting(past).fault(FaultKind.PAUSED, "worker-2", 1400, 1450)
        assert past.check("free_slots_take_work") == []

    def test_allows_more_time_where_every_request_takes_long(self, past: "HistoryBuilder"):
        self.waiting(past)
        for number in (4, 5, 6, 7):
            past.created(number, took=100)
        assert past.check("free_slots_take_work") == []

    def test_does_not_judge_a_worker_that_left(self, past: "HistoryBuilder"):
        self.waiting(past).exited("worker-1", 600, ordered=True)
        assert past.check("free_slots_take_work") == []

    def test_does_not_judge_a_worker_that_came_late(self, past: "HistoryBuilder"):
        self.waiting(past).observed(1, components_up=())
        assert past.check("free_slots_take_work") == []

    def test_does_not_judge_a_type_whose_breaker_has_opened(self, past: "HistoryBuilder"):
        self.waiting(past)
        past.observed(1600, components_up=("worker-1",), transitions=(turn(CLOSED, OPEN, 1),))
        assert past.check("free_slots_take_work") == []

    def test_is_undecided_if_the_machine_stood_still(self, past: "HistoryBuilder"):
        (finding,) = self.waiting(past).machine_stalled(100, 400).check("free_slots_take_work")
        assert not finding.certain

    @pytest.mark.parametrize(("late", "certain"), [(90, True), (100, False)])
    def test_is_undecided_on_a_machine_that_lets_everybody_wait(
        self, past: "HistoryBuilder", late: int, certain: bool
    ):
        # Of 1480 ms what is late counts five times; 1000 ms is the bound.
        self.waiting(past).processor_wait(0, at=-9).processor_wait(500, at=0).processor_wait(
            500 + late, at=1400
        )
        past.processor_wait(500 + late, at=1510).processor_wait(5000, at=3000)
        (finding,) = past.check("free_slots_take_work")
        assert finding.certain is certain

    def test_does_not_judge_a_task_that_is_not_due(self, past: "HistoryBuilder"):
        past.promises(slots_per_worker=2)
        past.observed(0, components_up=("worker-1",)).created(1, delay_ms=1400).executed(
            1, 1500, 1501
        )
        past.observed(1600, components_up=("worker-1",))
        assert past.check("free_slots_take_work") == []
