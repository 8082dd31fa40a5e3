from typing import TYPE_CHECKING

from chaosfuzz.domain import FaultKind, Health, Outcome, TaskStatus

if TYPE_CHECKING:
    from chaosfuzz.testing import HistoryBuilder

PENDING, RUNNING, RETRYING = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.RETRYING
COMPLETED, FAILED = TaskStatus.COMPLETED, TaskStatus.FAILED


class TestNoLostTasks:
    def test_holds_for_a_task_in_the_queue(self, past: "HistoryBuilder"):
        assert past.created().observed(9, past.row(1, PENDING)).check("no_lost_tasks") == []

    def test_holds_for_a_task_that_ran(self, past: "HistoryBuilder"):
        assert past.created().executed(1, 2, 4).observed(9).check("no_lost_tasks") == []

    def test_holds_for_a_creation_that_was_never_acknowledged(self, past: "HistoryBuilder"):
        assert past.created(outcome=Outcome.UNKNOWN).observed(9).check("no_lost_tasks") == []

    def test_holds_while_the_queue_cannot_be_read(self, past: "HistoryBuilder"):
        assert past.created().observed(9, tasks=None).check("no_lost_tasks") == []

    def test_finds_an_accepted_task_that_is_nowhere(self, past: "HistoryBuilder"):
        (finding,) = past.created().observed(9).check("no_lost_tasks")
        assert finding.message == "task 1 was accepted and is nowhere"
        assert (finding.tasks, finding.role, finding.certain) == ((1,), "server", True)


class TestEventualCompletion:
    def test_holds_when_all_is_terminal(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).observed(9, past.row(1, COMPLETED)).healed(10)
        assert past.check("eventual_completion") == []

    def test_finds_a_task_left_running_by_a_dead_worker(self, past: "HistoryBuilder"):
        past.created().executed(1, 2).exited("worker-1", 5, ordered=True).healed(10)
        (finding,) = past.observed(3020, past.row(1, RUNNING)).check("eventual_completion", 3020)
        assert finding.certain
        assert finding.message == (
            "task 1 is still running (attempt 1) after 3000 ms in which nothing moved, "
            "all faults healed"
        )

    def test_tells_no_attempt_of_a_task_that_never_began(self, past: "HistoryBuilder"):
        past.created().healed(10).observed(3020, past.row(1, PENDING, attempts=0))
        (finding,) = past.check("eventual_completion", 3020)
        assert finding.message.startswith("task 1 is still pending after 3000 ms")

    def test_is_undecided_while_something_moved_within_the_bound(self, past: "HistoryBuilder"):
        past.created(1).created(2).executed(1, 2000, 2500).healed(10)
        past.observed(4000, past.row(1, COMPLETED), past.row(2, PENDING))
        (finding,) = past.check("eventual_completion", 4000)
        assert not finding.certain

    def test_is_undecided_while_a_long_handler_is_at_work(self, past: "HistoryBuilder"):
        past.created(duration_ms=5000).executed(1, 2).healed(10).observed(
            4000, past.row(1, RUNNING)
        )
        (finding,) = past.check("eventual_completion", 4000)
        assert not finding.certain

    def test_finds_a_handler_that_never_ends(self, past: "HistoryBuilder"):
        past.created(duration_ms=500).executed(1, 2).healed(10).observed(4000, past.row(1, RUNNING))
        (finding,) = past.check("eventual_completion", 4000)
        assert finding.certain

    def test_is_undecided_before_a_late_task_was_due_for_the_bound(self, past: "HistoryBuilder"):
        past.created(delay_ms=2000).healed(10).observed(4000, past.row(1, PENDING))
        (finding,) = past.check("eventual_completion", 4000)
        assert not finding.certain

    def test_is_undecided_when_the_machine_stood_still(self, past: "HistoryBuilder"):
        past.created().healed(10).observed(9000, past.row(1, PENDING)).machine_stalled(5000, 5300)
        (finding,) = past.check("eventual_completion", 9000)
        assert not finding.certain

    def test_leaves_finished_work_to_another_invariant(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).healed(10).observed(9000, past.row(1, RUNNING))
        assert past.check("eventual_completion", 9000) == []


class TestFinishedIsAcknowledged:
    def test_holds_when_the_queue_agrees(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).healed(10).observed(9, past.row(1, COMPLETED))
        assert past.check("finished_is_acknowledged") == []

    def test_finds_a_finished_task_that_stays_open(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).healed(10).observed(9000, past.row(1, RUNNING))
        (finding,) = past.check("finished_is_acknowledged", 9000)
        assert finding.certain
        assert finding.message == "task 1 finished by the ledger, the queue says running"

    def test_is_undecided_within_the_bound(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).healed(10).observed(900, past.row(1, RUNNING))
        (finding,) = past.check("finished_is_acknowledged", 900)
        assert not finding.certain

    def test_is_undecided_while_other_work_goes_on(self, past: "HistoryBuilder"):
        past.created(1).created(2).executed(1, 2, 4).executed(2, 8000).healed(10)
        past.observed(9000, past.row(1, RUNNING), past.row(2, RUNNING))
        (finding,) = past.check("finished_is_acknowledged", 9000)
        assert not finding.certain


class TestNoFalseCompletion:
    def test_holds_when_the_work_was_done(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).observed(
            9, past.row(1, COMPLETED, fence=1, completed_fence=1)
        )
        assert past.check("no_false_completion") == []

    def test_finds_completion_without_work(self, past: "HistoryBuilder"):
        past.created().executed(1, 2).observed(9, past.row(1, COMPLETED))
        (finding,) = past.check("no_false_completion")
        assert finding.message == "task 1 is called completed; no execution of it finished"

    def test_finds_completion_after_failed_work_alone(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4, result="failed").observed(9, past.row(1, COMPLETED))
        assert len(past.check("no_false_completion")) == 1

    def test_finds_the_result_of_a_stale_worker(self, past: "HistoryBuilder"):
        past.created().executed(1, 2, 4).observed(
            9, past.row(1, COMPLETED, fence=2, completed_fence=1)
        )
        (finding,) = past.check("no_false_completion")
        assert finding.message == (
            "task 1 was completed under lease 1 while lease 2 was in force: "
            "a stale worker's result counted"
        )


class TestRetriesAreUsed:
    def test_holds_after_all_attempts(self, past: "HistoryBuilder"):
        assert past.created().observed(9, past.row(1, FAILED, 3)).check("retries_are_used") == []

    def test_holds_where_no_retry_was_asked_for(self, past: "HistoryBuilder"):
        past.created(strategy=3).observed(9, past.row(1, FAILED, 1))
        assert past.check("retries_are_used") == []

    def test_finds_a_task_given_up_early(self, past: "HistoryBuilder"):
        (finding,) = past.created().observed(9, past.row(1, FAILED, 1)).check("retries_are_used")
        assert finding.message == "task 1 failed for good after 1 of 3 attempts"


class TestWorkDoneIsNotFailed:
    def failed_after(
        self, past: "HistoryBuilder", result: str = "finished", end: int = 200
    ) -> "HistoryBuilder":
        past.created().executed(1, 10, 20, result="failed").executed(
            1, 100, end, result=result, attempt=2
        )
        return past.observed(900, past.row(1, FAILED, 3))

    def test_finds_a_task_whose_last_run_finished(self, past: "HistoryBuilder"):
        (finding,) = self.failed_after(past).check("work_done_is_not_failed")
        assert finding.certain
        assert finding.message == (
            "task 1 finished on worker-1 at attempt 2, and ended as failed for good"
        )

    def test_holds_if_the_last_run_failed(self, past: "HistoryBuilder"):
        assert self.failed_after(past, "failed").check("work_done_is_not_failed") == []

    def test_holds_for_one_that_is_completed(self, past: "HistoryBuilder"):
        past.created().executed(1, 10, 20).observed(900, past.row(1, COMPLETED))
        assert past.check("work_done_is_not_failed") == []

    def test_holds_if_only_a_run_before_the_last_finished(self, past: "HistoryBuilder"):
        past.created().executed(1, 10, 500).executed(
            1, 100, 200, worker=2, result="failed", attempt=2
        )
        past.observed(900, past.row(1, FAILED, 3))
        assert past.check("work_done_is_not_failed") == []

    def test_holds_for_work_that_outlasted_the_lease(self, past: "HistoryBuilder"):
        assert self.failed_after(past, end=700).check("work_done_is_not_failed") == []

    def test_is_excused_by_a_fault_that_hid_the_end(self, past: "HistoryBuilder"):
        self.failed_after(past).fault(FaultKind.CUT_OFF, "worker-1", 201, 202)
        assert past.check("work_done_is_not_failed") == []

    def test_is_not_excused_where_the_contract_says_so(self, past: "HistoryBuilder"):
        past.promises(failed_after_finish_is_declared=False)
        self.failed_after(past).fault(FaultKind.CUT_OFF, "worker-1", 201, 202)
        (finding,) = past.check("work_done_is_not_failed")
        assert finding.certain

    def test_is_undecided_if_the_machine_stood_still(self, past: "HistoryBuilder"):
        (finding,) = (
            self.failed_after(past).machine_stalled(210, 500).check("work_done_is_not_failed")
        )
        assert not finding.certain

    def test_what_failed_before_a_lease_was_over_is_not_the_machines_doing(
        self, past: "HistoryBuilder"
    ):
        past.created().executed(1, 10, 20, result="failed").observed(90, past.row(1, RETRYING, 2))
        past.executed(1, 100, 200, attempt=2).observed(600, past.row(1, FAILED, 3)).machine_stalled(
            210, 500
        )
        (finding,) = past.check("work_done_is_not_failed")
        assert finding.certain

    def test_a_killed_worker_is_not_the_machines_doing(self, past: "HistoryBuilder"):
        past.promises(failed_after_finish_is_declared=False)
        self.failed_after(past).machine_stalled(210, 500).fault(
            FaultKind.KILLED, "worker-1", 201, 202
        )
        (finding,) = past.check("work_done_is_not_failed")
        assert finding.certain


class TestEffectHappensOnce:
    def test_holds_for_one_effect_of_a_completed_task(self, past: "HistoryBuilder"):
        past.created().observed(9, past.row(1, COMPLETED, effects=1))
        assert past.check("effect_happens_once") == []

    def test_holds_where_effects_are_not_kept(self, past: "HistoryBuilder"):
        assert past.created().observed(9, past.row(1, COMPLETED)).check("effect_happens_once") == []

    def test_finds_an_effect_that_happened_twice(self, past: "HistoryBuilder"):
        past.created().observed(9, past.row(1, COMPLETED, effects=2))
        (finding,) = past.check("effect_happens_once")
        assert finding.message == "task 1 is completed and has 2 effects"

    def test_finds_an_effect_that_did_not_commit_with_the_completion(self, past: "HistoryBuilder"):
        past.created().observed(9, past.row(1, RUNNING, effects=1))
        (finding,) = past.check("effect_happens_once", final=False)
        assert finding.message == "task 1 is running and has 1 effects"

    def test_finds_a_completion_without_its_effect(self, past: "HistoryBuilder"):
        past.created().observed(9, past.row(1, COMPLETED, effects=0))
        assert len(past.check("effect_happens_once")) == 1

    def test_finds_an_effect_of_a_failed_task(self, past: "HistoryBuilder"):
        past.created().observed(9, past.row(1, FAILED, effects=1))
        (finding,) = past.check("effect_happens_once")
        assert finding.message == "task 1 is failed and has 1 effects"


class TestRecoversAfterHealing:
    def test_holds_when_well_and_taking_tasks(self, past: "HistoryBuilder"):
        past.healed(10).created(1, 20).observed(30, health=Health.WELL)
        assert past.check("recovers_after_healing") == []

    def test_finds_health_that_does_not_come_back(self, past: "HistoryBuilder"):
        (finding,) = (
            past.healed(10).observed(4100, health=Health.UNWELL).check("recovers_after_healing")
        )
        assert finding.message == "health is unwell 4000 ms after healing"
        assert finding.role == "server"

    def test_finds_an_api_that_does_not_come_back(self, past: "HistoryBuilder"):
        past.healed(10).created(1, 4100, outcome=Outcome.UNKNOWN, detail="503 nope")
        (finding,) = past.check("recovers_after_healing")
        assert finding.certain
        assert finding.message == "after healing, creating a task gave: 503 nope"

    def test_is_undecided_about_an_api_that_fails_within_the_bound(self, past: "HistoryBuilder"):
        past.healed(10).created(1, 100, outcome=Outcome.UNKNOWN, detail="503 nope")
        (finding,) = past.check("recovers_after_healing")
        assert not finding.certain

    def test_does_not_mind_failed_creations_before_healing(self, past: "HistoryBuilder"):
        past.created(1, 5, outcome=Outcome.UNKNOWN).healed(10).observed(30, health=Health.WELL)
        assert past.check("recovers_after_healing") == []


class TestNoDegradation:
    def test_holds_for_a_new_task_started_soon(self, past: "HistoryBuilder"):
        past.fault(FaultKind.PAUSED, "worker-1", 5, 8).healed(10).created(1, 20).executed(
            1, 120, 121
        )
        assert past.check("no_degradation") == []

    def test_finds_a_new_task_started_far_too_late(self, past: "HistoryBuilder"):
        past.created(1).executed(1, 4, 5).fault(FaultKind.PAUSED, "worker-1", 6, 8).healed(10)
        past.created(2, 20).executed(2, 2021, 2022)
        (finding,) = past.check("no_degradation")
        assert finding.certain
        assert (
            finding.message == "after healing, task 2 started after 2000 ms; the bound is 1500 ms"
        )

    def test_is_undecided_when_the_machine_stood_still(self, past: "HistoryBuilder"):
        past.fault(FaultKind.PAUSED, "worker-1", 6, 8).healed(10).created(2, 20).executed(
            2, 2021, 2022
        )
        (finding,) = past.machine_stalled(100, 1900).check("no_degradation")
        assert not finding.certain

    def test_does_not_mind_slowness_without_faults(self, past: "HistoryBuilder"):
        assert past.created(1).healed(10).executed(1, 5000, 5001).check("no_degradation") == []
