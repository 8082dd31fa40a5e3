from typing import TYPE_CHECKING

import pytest

from chaosfuzz.domain import FaultKind, Guarantee, OperationKind, Outcome, TaskStatus

if TYPE_CHECKING:
    from chaosfuzz.testing import HistoryBuilder

PENDING, RUNNING, COMPLETED = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED
FAILED, CANCELLED = TaskStatus.FAILED, TaskStatus.CANCELLED
CANCEL, RETRY = OperationKind.CANCEL, OperationKind.RETRY


class TestNoDuplicateExecution:
    def test_holds_for_a_retry_after_a_failure(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4, result="failed").executed(1, 9, 10, attempt=2)
        assert past.check("no_duplicate_execution") == []

    def test_finds_finished_work_done_again(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).executed(1, 700, 702, worker=2, attempt=2)
        (finding,) = past.check("no_duplicate_execution")
        assert finding.certain
        assert finding.message == (
            "task 1 finished on worker-1 and ran again on worker-2, with no fault to justify it"
        )

    def test_is_excused_when_the_worker_died_before_it_could_say_so(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).fault(FaultKind.KILLED, "worker-1", 5, 5)
        assert past.executed(1, 700, 702, worker=2).check("no_duplicate_execution") == []

    def test_no_fault_excuses_it_where_once_at_most_was_promised(self, past: "HistoryBuilder"):
        past.promises(guarantee=Guarantee.AT_MOST_ONCE)
        past.created().executed(1, 2, 4).fault(FaultKind.KILLED, "worker-1", 5, 5)
        (finding,) = past.executed(1, 700, 702, worker=2).check("no_duplicate_execution")
        assert finding.message == (
            "task 1 finished on worker-1 and ran again on worker-2, "
            "and was promised to run once at most"
        )

    def test_is_excused_when_the_database_was_down(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).fault(FaultKind.DATABASE_DOWN, "database", 3, 900)
        assert past.executed(1, 950, 960, worker=2).check("no_duplicate_execution") == []

    def test_is_not_excused_by_the_death_of_another_worker(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).fault(FaultKind.KILLED, "worker-2", 5, 5)
        assert len(past.executed(1, 700, 702, worker=3).check("no_duplicate_execution")) == 1

    def test_is_not_excused_by_a_death_long_after(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).fault(FaultKind.KILLED, "worker-1", 1005, 1005)
        assert len(past.executed(1, 1900, 1902, worker=2).check("no_duplicate_execution")) == 1

    def test_is_excused_by_a_retry_asked_for(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).operated(RETRY, 1, 6, outcome=Outcome.UNKNOWN)
        assert past.executed(1, 700, 702).check("no_duplicate_execution") == []

    def test_is_undecided_when_the_machine_stood_still(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).executed(1, 700, 702).machine_stalled(100, 650)
        (finding,) = past.check("no_duplicate_execution")
        assert not finding.certain

    def test_the_rerun_of_a_killed_workers_task_is_not_the_machines_doing(
        self, past: "HistoryBuilder"
    ):
        past.promises(guarantee=Guarantee.AT_MOST_ONCE)
        past.created().executed(1, 2, 4).executed(1, 700, 702).machine_stalled(100, 650)
        (finding,) = past.fault(FaultKind.KILLED, "worker-1", 5, 5).check("no_duplicate_execution")
        assert finding.certain

    @pytest.mark.parametrize("name", ["no_duplicate_execution", "no_overlap"])
    @pytest.mark.parametrize(
        ("late", "began", "certain"),
        [(149, 700, True), (150, 700, False), (400, 100, True)],
    )
    def test_is_undecided_when_the_machine_was_too_slow_to_renew_a_lease(
        self, past: "HistoryBuilder", name: str, late: int, began: int, certain: bool
    ):
        # A quarter of a lease is 150 ms; within that no lease can have run out.
        ended = began - 1 if name == "no_duplicate_execution" else began + 9
        past.created().executed(1, 2, ended).executed(1, began, began + 2, worker=2, attempt=2)
        past.processor_wait(20, at=-600).processor_wait(20 + late, at=began).processor_wait(
            9000, at=began + 50
        )
        (finding,) = past.check(name)
        assert finding.certain is certain

    def test_leaves_two_tasks_of_one_creation_to_another_invariant(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).executed(1, 9, 10, task_id="id-copy")
        assert past.check("no_duplicate_execution") == []


class TestNoOverlap:
    def test_holds_one_after_the_other(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 9, result="failed").executed(1, 9, 12, worker=2, attempt=2)
        assert past.check("no_overlap") == []

    def test_finds_two_at_the_same_time(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 9).executed(1, 8, 12, worker=2, attempt=2)
        (finding,) = past.check("no_overlap")
        assert finding.certain
        assert finding.message == (
            "task 1 ran on worker-1 (attempt 1) and on worker-2 (attempt 2) at the same time"
        )

    def test_an_execution_whose_process_is_gone_has_ended(self, past: "HistoryBuilder"):
        past.created().executed(1, 2).exited("worker-1", 5).executed(
            1, 700, 702, worker=2, attempt=2
        )
        assert past.check("no_overlap") == []

    def test_is_declared_after_a_pause(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 900).fault(FaultKind.PAUSED, "worker-1", 5, 890)
        assert past.executed(1, 700, 702, worker=2, attempt=2).check("no_overlap") == []

    def test_is_found_after_a_pause_where_that_is_not_declared(self, past: "HistoryBuilder"):
        past.promises(overlap_after_pause_is_declared=False)
        past.created().executed(1, 2, 900).fault(FaultKind.PAUSED, "worker-1", 5, 890)
        assert len(past.executed(1, 700, 702, worker=2, attempt=2).check("no_overlap")) == 1

    def test_is_undecided_when_the_machine_stood_still(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 900).executed(1, 700, 702, worker=2).machine_stalled(10, 690)
        (finding,) = past.check("no_overlap")
        assert not finding.certain


@pytest.mark.parametrize("name", ["no_duplicate_execution", "no_overlap"])
class TestLateStart:
    # worker-2 was kept from what it had taken, worker-1 ran it, worker-2 begins all the same.
    @staticmethod
    def begun_late(
        past: "HistoryBuilder", name: str, kind: FaultKind, began: int, ended: int
    ) -> "HistoryBuilder":
        past.promises(late_start_is_declared=True)
        past.created().executed(1, 700, 710 if name == "no_duplicate_execution" else 900)
        return past.fault(kind, "worker-2", began, ended).executed(1, 800, 820, worker=2, attempt=2)

    @pytest.mark.parametrize("kind", [FaultKind.PAUSED, FaultKind.CUT_OFF])
    def test_is_declared_once_a_lease_has_run_out(
        self, past: "HistoryBuilder", name: str, kind: FaultKind
    ):
        assert self.begun_late(past, name, kind, 150, 790).check(name) == []

    def test_is_declared_too_if_the_first_one_began_late(self, past: "HistoryBuilder", name: str):
        past.promises(late_start_is_declared=True)
        past.created().fault(FaultKind.PAUSED, "worker-1", 10, 790)
        past.executed(1, 800, 810 if name == "no_duplicate_execution" else 900)
        assert past.executed(1, 850, 860, worker=2, attempt=2).check(name) == []

    def test_is_found_after_less_than_a_lease(self, past: "HistoryBuilder", name: str):
        found = self.begun_late(past, name, FaultKind.PAUSED, 250, 790).check(name)
        assert len(found) == 1

    def test_only_the_time_since_creation_counts(self, past: "HistoryBuilder", name: str):
        found = self.begun_late(past, name, FaultKind.PAUSED, -9000, 590).check(name)
        assert len(found) == 1

    def test_whoever_was_dead_has_taken_nothing(self, past: "HistoryBuilder", name: str):
        found = self.begun_late(past, name, FaultKind.KILLED, 10, 790).check(name)
        assert len(found) == 1

    def test_is_found_where_it_is_not_declared(self, past: "HistoryBuilder", name: str):
        self.begun_late(past, name, FaultKind.PAUSED, 10, 790)
        past.promises(late_start_is_declared=False)
        assert len(past.check(name)) == 1


class TestNoPhantom:
    def test_holds_for_accepted_and_undecided_creations(self, past: "HistoryBuilder"):
        past.created(1).executed(1, 2, 3).created(2, outcome=Outcome.UNKNOWN).executed(2, 4, 5)
        assert past.check("no_phantom") == []

    def test_finds_refused_work_that_ran(self, past: "HistoryBuilder"):
        (finding,) = past.created(outcome=Outcome.FAILED).executed(1, 2, 3).check("no_phantom")
        assert finding.message == "task 1 was refused and ran all the same"

    def test_holds_for_a_cancel_that_holds(self, past: "HistoryBuilder"):
        past.created().operated(CANCEL, 1, 5).observed(9, past.row(1, CANCELLED))
        assert past.check("no_phantom") == []

    def test_finds_a_cancel_that_changed_nothing(self, past: "HistoryBuilder"):
        past.created().operated(CANCEL, 1, 5).observed(9, past.row(1, RUNNING))
        (finding,) = past.check("no_phantom")
        assert finding.message == "task 1 was cancelled, says the API; it is running"
        assert finding.role == "server"

    def test_finds_a_cancelled_task_that_started(self, past: "HistoryBuilder"):
        past.created().operated(CANCEL, 1, 5).observed(9, past.row(1, CANCELLED, 0)).executed(
            1, 7, 8
        )
        (finding,) = past.check("no_phantom")
        assert finding.message == "task 1 was cancelled and started later"

    def test_holds_for_a_claim_that_was_granted_before_the_cancel(self, past: "HistoryBuilder"):
        past.created().operated(CANCEL, 1, 5).observed(9, past.row(1, CANCELLED, 1)).executed(
            1, 7, 8
        )
        assert past.check("no_phantom") == []

    def test_is_excused_by_a_fault_before_the_start(self, past: "HistoryBuilder"):
        past.created().fault(FaultKind.PAUSED, "worker-1", 2, 6).operated(CANCEL, 1, 5)
        assert (
            past.observed(9, past.row(1, CANCELLED, 0)).executed(1, 7, 8).check("no_phantom") == []
        )

    def test_does_not_judge_cancels_that_were_refused_or_taken_back(self, past: "HistoryBuilder"):
        past.created(1).operated(CANCEL, 1, 5, outcome=Outcome.FAILED).executed(1, 9, 10)
        past.created(2).operated(CANCEL, 2, 5).operated(RETRY, 2, 6).executed(2, 9, 10)
        past.observed(11, past.row(1, COMPLETED), past.row(2, COMPLETED))
        assert past.check("no_phantom") == []


class TestNoDoubleCreate:
    def test_holds_for_one_row(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 3).observed(9, past.row(1, COMPLETED))
        assert past.check("no_double_create") == []

    def test_finds_two_rows_of_one_creation(self, past: "HistoryBuilder"):
        past.created().observed(9, past.row(1, PENDING), past.row(1, PENDING, copy="b"))
        (finding,) = past.check("no_double_create")
        assert finding.message == "creation 1 made 2 tasks"
        assert finding.role == "server"

    def test_finds_a_second_task_by_its_execution_alone(self, past: "HistoryBuilder"):
        past.created().observed(9, past.row(1, PENDING)).executed(1, 5, 6, task_id="id-gone")
        assert len(past.check("no_double_create")) == 1


class TestNoStateRegression:
    def test_holds_for_an_ordinary_life(self, past: "HistoryBuilder"):
        past.created().observed(1, past.row(1, PENDING, 0)).observed(2, past.row(1, RUNNING, 1))
        assert past.observed(3, past.row(1, COMPLETED, 1)).check("no_state_regression") == []

    def test_finds_a_terminal_state_that_was_left(self, past: "HistoryBuilder"):
        past.created().observed(1, past.row(1, COMPLETED)).observed(2, past.row(1, RUNNING))
        (finding,) = past.check("no_state_regression")
        assert finding.message == "task 1 went from completed to running"

    def test_finds_attempts_that_fell(self, past: "HistoryBuilder"):
        past.created().observed(1, past.row(1, RUNNING, 2)).observed(2, past.row(1, PENDING, 0))
        (finding,) = past.check("no_state_regression")
        assert finding.message == "attempts of task 1 fell: 2 to 0"

    def test_finds_a_lease_that_came_back(self, past: "HistoryBuilder"):
        past.created().observed(1, past.row(1, RUNNING, 2, fence=2))
        (finding,) = past.observed(2, past.row(1, RUNNING, 2, fence=1)).check("no_state_regression")
        assert finding.message.startswith("lease 1 of task 1 is back in force after lease 2")

    def test_finds_attempts_above_the_limit(self, past: "HistoryBuilder"):
        (finding,) = (
            past.created().observed(1, past.row(1, RUNNING, 4)).check("no_state_regression")
        )
        assert finding.message == "task 1 was tried 4 times, its maximum is 3"

    def test_finds_executions_above_the_limit(self, past: "HistoryBuilder"):
        past.created().observed(1, past.row(1, RUNNING, 3))
        for number in range(4):
            past.executed(1, 10 * number, 10 * number + 1, result="failed")
        assert len(past.check("no_state_regression")) == 1

    def test_does_not_count_executions_that_a_fault_cut_short(self, past: "HistoryBuilder"):
        past.created().observed(1, past.row(1, RUNNING, 3)).fault(
            FaultKind.KILLED, "worker-1", 1, 1
        )
        past.executed(1, 0, worker=1)
        for number in range(3):
            past.executed(1, 10 + number, 11 + number, result="failed", worker=2)
        assert past.check("no_state_regression") == []

    def test_finds_a_row_that_disappeared(self, past: "HistoryBuilder"):
        (finding,) = past.created().executed(1, 2, 3).observed(9).check("no_state_regression")
        assert finding.message == "task 1 ran and its row has disappeared"

    def test_is_excused_by_a_retry_asked_for(self, past: "HistoryBuilder"):
        past.created().observed(1, past.row(1, FAILED, 3)).operated(RETRY, 1, 2)
        assert past.observed(3, past.row(1, PENDING, 0)).check("no_state_regression") == []

    def test_does_not_judge_an_unreadable_queue(self, past: "HistoryBuilder"):
        assert (
            past.created().executed(1, 2, 3).observed(9, tasks=None).check("no_state_regression")
            == []
        )
