from typing import TYPE_CHECKING

import pytest

from chaosfuzz.domain import FaultKind, Health, OperationKind, Outcome, TaskStatus, WorkerExit

if TYPE_CHECKING:
    from chaosfuzz.testing import HistoryBuilder

PENDING = TaskStatus.PENDING


class TestScheduledTimeIsKept:
    def test_holds_for_a_start_on_time(self, past: "HistoryBuilder"):
        assert (
            past.created(delay_ms=400).executed(1, 401, 402).check("scheduled_time_is_kept") == []
        )

    def test_finds_a_start_too_early(self, past: "HistoryBuilder"):
        (finding,) = past.created(delay_ms=400).executed(1, 10, 12).check("scheduled_time_is_kept")
        assert finding.message == "task 1 started 390 ms before its scheduled time"

    def test_leaves_room_for_clocks_that_differ(self, past: "HistoryBuilder"):
        assert (
            past.created(delay_ms=400).executed(1, 360, 361).check("scheduled_time_is_kept") == []
        )

    def test_does_not_judge_tasks_without_a_time(self, past: "HistoryBuilder"):
        assert past.created().executed(1, 0, 1).check("scheduled_time_is_kept") == []


class TestPriorityIsKept:
    def waiting(self, past: "HistoryBuilder", for_ms: int = 100) -> "HistoryBuilder":
        """The higher one waits beside the lower one, then alone, then both have been run."""
        past.created(1, 0, priority=0).created(2, 10, priority=3)
        past.observed(20, past.row(1, PENDING), past.row(2, PENDING))
        past.observed(20 + for_ms, past.row(1, TaskStatus.RUNNING), past.row(2, PENDING))
        return past.executed(1, 19 + for_ms, 200)

    def test_holds_for_the_higher_one_first(self, past: "HistoryBuilder"):
        past.created(1, 0, priority=0).created(2, 10, priority=3)
        past.observed(20, past.row(1, PENDING), past.row(2, PENDING))
        past.observed(150, past.row(1, PENDING), past.row(2, TaskStatus.RUNNING))
        assert past.executed(2, 149, 160).executed(1, 161, 170).check("priority_is_kept") == []

    def test_finds_the_lower_one_started_first(self, past: "HistoryBuilder"):
        (finding,) = self.waiting(past).executed(2, 201, 210).check("priority_is_kept")
        assert finding.message == (
            "worker-1 started task 1 before task 2, which has a higher priority and was ready"
        )
        assert finding.tasks == (1, 2)

    def test_holds_if_the_claim_may_have_begun_before_the_higher_one_was_there(
        self, past: "HistoryBuilder"
    ):
        self.waiting(past, for_ms=99).executed(2, 201, 210)
        assert past.check("priority_is_kept") == []

    def test_holds_for_two_that_were_claimed_at_once(self, past: "HistoryBuilder"):
        past.created(1, 0, priority=0).created(2, 10, priority=3)
        past.observed(20, past.row(1, PENDING), past.row(2, PENDING))
        past.observed(150, past.row(1, TaskStatus.RUNNING), past.row(2, TaskStatus.RUNNING))
        assert past.executed(1, 149, 160).executed(2, 151, 155).check("priority_is_kept") == []

    def test_holds_if_the_higher_one_waits_again_after_its_start(self, past: "HistoryBuilder"):
        past.created(1, 0, priority=0).created(2, 10, priority=3)
        past.observed(20, past.row(1, PENDING), past.row(2, PENDING)).executed(
            1, 149, 200
        ).executed(2, 150, 151)
        past.observed(160, past.row(1, TaskStatus.RUNNING), past.row(2, PENDING))
        assert past.check("priority_is_kept") == []

    def test_holds_if_they_were_never_seen_waiting_together(self, past: "HistoryBuilder"):
        past.created(1, 0, priority=0).observed(5, past.row(1, PENDING)).created(2, 10, priority=3)
        past.observed(20, past.row(1, TaskStatus.RUNNING), past.row(2, PENDING))
        past.observed(150, past.row(1, TaskStatus.RUNNING), past.row(2, PENDING))
        assert past.executed(1, 190, 191).executed(2, 195, 196).check("priority_is_kept") == []

    def test_does_not_compare_two_workers(self, past: "HistoryBuilder"):
        assert self.waiting(past).executed(2, 201, 210, worker=2).check("priority_is_kept") == []

    def test_is_excused_by_a_fault_of_the_worker_or_the_database(self, past: "HistoryBuilder"):
        self.waiting(past).executed(2, 201, 210).fault(FaultKind.DATABASE_DOWN, "database", 25, 28)
        assert past.check("priority_is_kept") == []

    def test_does_not_compare_types_of_which_one_may_be_held_back(self, past: "HistoryBuilder"):
        past.created(1, 0, priority=0).created(2, 10, priority=3, task_type=1)
        past.observed(20, past.row(1, PENDING), past.row(2, PENDING))
        past.observed(150, past.row(1, TaskStatus.RUNNING), past.row(2, PENDING))
        assert past.executed(1, 149, 200).executed(2, 201, 202).check("priority_is_kept") == []

    def test_does_not_judge_where_priorities_are_not_promised(self, past: "HistoryBuilder"):
        past.promises(priorities=False)
        assert self.waiting(past).executed(2, 201, 210).check("priority_is_kept") == []


class TestHealthTellsTheTruth:
    def test_holds_while_the_database_is_up(self, past: "HistoryBuilder"):
        past.fault(FaultKind.DATABASE_DOWN, "database", 1, 5).observed(9, health=Health.WELL)
        assert past.check("health_tells_the_truth") == []

    def test_holds_for_health_that_admits_it(self, past: "HistoryBuilder"):
        past.fault(FaultKind.DATABASE_DOWN, "database", 1).observed(9, health=Health.UNWELL)
        assert past.check("health_tells_the_truth") == []

    def test_a_database_that_is_just_going_down_may_have_been_up(self, past: "HistoryBuilder"):
        past.fault(FaultKind.DATABASE_DOWN, "database", 1, certain=10)
        past.observed(9, health=Health.WELL)
        assert past.check("health_tells_the_truth") == []

    def test_finds_health_that_pretends(self, past: "HistoryBuilder"):
        past.fault(FaultKind.DATABASE_DOWN, "database", 1).observed(9, health=Health.WELL)
        (finding,) = past.check("health_tells_the_truth")
        assert finding.message == "health says well while the database is down"
        assert finding.role == "server"

    def test_is_excused_if_it_was_asked_before_the_fault(self, past: "HistoryBuilder"):
        past.fault(FaultKind.DATABASE_DOWN, "database", 5)
        past.observed(9, health=Health.WELL, health_asked_ns=4 * 10**6)
        assert past.check("health_tells_the_truth") == []


class TestRequestsAreAnswered:
    def test_holds_for_answers_and_refusals(self, past: "HistoryBuilder"):
        past.created(took=6000).created(2, outcome=Outcome.UNKNOWN, took=30)
        assert past.observed(9, health=Health.UNREACHABLE).check("requests_are_answered") == []

    def test_finds_health_that_hangs(self, past: "HistoryBuilder"):
        (finding,) = past.observed(9, health=Health.TIMED_OUT).check("requests_are_answered")
        assert finding.message == "a health request got no answer within 5000 ms"

    def test_finds_a_creation_that_hangs(self, past: "HistoryBuilder"):
        past.created(outcome=Outcome.UNKNOWN, took=5001)
        (finding,) = past.check("requests_are_answered")
        assert finding.message == "a request got no answer within 5000 ms"

    def test_finds_an_operation_that_hangs(self, past: "HistoryBuilder"):
        past.operated(OperationKind.CANCEL, 1, 5, outcome=Outcome.UNKNOWN, took=5001)
        assert len(past.check("requests_are_answered")) == 1

    def test_is_undecided_when_the_machine_stood_still(self, past: "HistoryBuilder"):
        past.created(outcome=Outcome.UNKNOWN, took=5001).machine_stalled(100, 5000)
        (finding,) = past.check("requests_are_answered")
        assert not finding.certain


class TestNoUnorderedExit:
    def test_holds_for_exits_that_were_ordered(self, past: "HistoryBuilder"):
        assert past.exited("worker-1", 5, ordered=True).check("no_unordered_exit") == []

    def test_finds_a_worker_that_ended_by_itself(self, past: "HistoryBuilder"):
        (finding,) = past.exited("worker-2", 5, code=1).check("no_unordered_exit")
        assert finding.message == "worker-2 ended by itself with exit code 1"
        assert finding.role == "worker"

    def test_names_the_role_of_a_server(self, past: "HistoryBuilder"):
        (finding,) = past.exited("server-1", 5, code=0).check("no_unordered_exit")
        assert finding.role == "server"

    def test_is_undecided_about_a_kill_from_outside(self, past: "HistoryBuilder"):
        (finding,) = past.exited("worker-1", 5, code=-9).check("no_unordered_exit")
        assert not finding.certain

    def test_is_excused_where_workers_need_not_survive_the_database(self, past: "HistoryBuilder"):
        past.promises(worker_exit=WorkerExit.WITHOUT_DATABASE)
        past.fault(FaultKind.DATABASE_DOWN, "database", 1, 4).exited("worker-1", 5)
        assert past.check("no_unordered_exit") == []

    @pytest.mark.parametrize(
        ("promise", "late", "certain"),
        [
            (WorkerExit.WITHOUT_DATABASE, 150, False),
            (WorkerExit.WITHOUT_DATABASE, 149, True),
            (WorkerExit.BROKEN, 150, True),
        ],
    )
    def test_is_undecided_where_the_machine_may_have_had_a_worker_given_up(
        self, past: "HistoryBuilder", promise: WorkerExit, late: int, certain: bool
    ):
        past.promises(worker_exit=promise)
        past.processor_wait(20, at=-600).processor_wait(20 + late, at=600).exited(
            "worker-1", 600, code=1
        )
        (finding,) = past.check("no_unordered_exit")
        assert finding.certain is certain


class TestNoLeak:
    def test_holds_for_a_pool_of_ordinary_size(self, past: "HistoryBuilder"):
        past.observed(9, components_up=("server-1", "worker-1"), database_sessions=23)
        assert past.check("no_leak") == []

    def test_finds_sessions_that_pile_up(self, past: "HistoryBuilder"):
        past.observed(9, components_up=("server-1", "worker-1"), database_sessions=33)
        (finding,) = past.check("no_leak")
        assert finding.message == (
            "after healing 33 database sessions are open; 32 is the most for 2 components "
            "(16 each, and at least for one)"
        )
        assert finding.role == "database"

    def test_finds_a_transaction_left_open(self, past: "HistoryBuilder"):
        (finding,) = past.observed(9, open_transactions=1).check("no_leak")
        assert finding.message == "1 database sessions are idle in an open transaction"

    def test_is_undecided_when_the_machine_stood_still(self, past: "HistoryBuilder"):
        past.healed(5).observed(9, open_transactions=1).machine_stalled(6, 8)
        (finding,) = past.check("no_leak")
        assert not finding.certain
