import time
from typing import TYPE_CHECKING

import pytest

from chaosfuzz.actions import make_step
from chaosfuzz.domain import Execution, Outcome
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.domain.history import FaultKind, ProcessExit
from chaosfuzz.domain.outcome import Reception, Reply
from chaosfuzz.domain.stop import Stopped
from chaosfuzz.domain.verdict import Verdict

if TYPE_CHECKING:
    from tests.unit.execution.conftest import Stage

CREATE = make_step("create_tasks", count=1)
KILL = make_step("kill_worker", worker=1)
PAUSE = make_step("pause_worker", worker=1)


class TestOrder:
    def test_a_step_is_journalled_before_it_is_done(self, stage: "Stage"):
        stage.run(CREATE, KILL)
        assert stage.log[:6] == [
            "journal schedule",
            "open 1",
            "journal step create_tasks(count=1)",
            "create 1",
            "journal step kill_worker(worker=1)",
            "kill worker-1",
        ]

    def test_everything_is_healed_after_the_last_step(self, stage: "Stage"):
        result = stage.run(KILL)
        at = stage.log.index
        assert at("kill worker-1") < at("journal heal") < at("heal") < at("close")
        assert result.history is not None
        assert result.history.healed_ns is not None
        assert not result.history.fault_in_force(FaultKind.KILLED)

    def test_a_healed_system_is_given_new_work(self, stage: "Stage"):
        stage.run(CREATE)
        assert [request.number for request in stage.system.asked] == [1, 2]
        assert stage.log.index("create 2") > stage.log.index("journal heal")

    def test_the_whole_is_judged_once_at_the_end(self, stage: "Stage"):
        stage.run(CREATE, KILL)
        finals = [(view, step) for view, step in stage.judge.views if view.final]
        assert len(finals) == 1
        assert finals[0] == stage.judge.views[-1]
        assert finals[0][1] is None

    def test_every_step_is_judged_by_its_index(self, stage: "Stage"):
        stage.run(CREATE, KILL)
        assert {step for _, step in stage.judge.views} == {0, 1, None}

    def test_a_run_that_a_fault_excuses_is_told_and_journalled(
        self, stage: "Stage", monkeypatch: pytest.MonkeyPatch
    ):
        began_ns = time.monotonic_ns()

        def executions() -> list[Execution]:
            return [
                Execution(
                    task_id=f"id-{asked.token}",
                    token=asked.token,
                    attempt=attempt,
                    component="worker-1",
                    pid=1,
                    start_ns=began_ns + attempt,
                    end_ns=began_ns + 10**10,
                    result="finished",
                )
                for asked in stage.system.asked[:1]
                for attempt in (0, 1)
            ]

        monkeypatch.setattr(stage.system, "executions", executions)
        (run,) = stage.run(CREATE, KILL).excused
        assert str(run).startswith("task 1 ran again on worker-1: excused by worker-1 killed")
        assert "journal excused" in stage.log

    def test_an_empty_schedule_holds(self, stage: "Stage"):
        result = stage.run()
        assert (result.verdict, result.steps_run) == (Verdict.HOLDS, 0)


class TestVerdicts:
    def test_it_stops_at_the_first_violation(self, stage: "Stage"):
        stage.judge.violated_if = lambda _view, step: step == 1
        result = stage.run(CREATE, KILL, PAUSE)
        assert result.verdict is Verdict.VIOLATED
        assert result.failure is not None
        assert result.failure.step == 1
        assert result.steps_run == 2
        assert "pause worker-1" not in stage.log
        assert stage.log[-2:] == ["close", "journal verdict"]

    def test_a_violation_at_the_end_has_no_step(self, stage: "Stage"):
        stage.judge.violated_if = lambda view, _step: view.final
        result = stage.run(CREATE)
        assert result.failure is not None
        assert result.failure.step is None

    def test_what_is_undecided_is_unknown_with_each_reason_once(self, stage: "Stage"):
        stage.judge.undecided = ("the check crashed",)
        result = stage.run(CREATE, KILL)
        assert result.verdict is Verdict.UNKNOWN
        assert result.undecided == ("the check crashed",)

    def test_a_violation_is_not_hidden_by_something_undecided(self, stage: "Stage"):
        stage.judge.undecided = ("the check crashed",)
        stage.judge.violated_if = lambda view, _step: view.final
        assert stage.run(CREATE).verdict is Verdict.VIOLATED

    def test_an_error_of_the_harness_is_no_verdict(self, stage: "Stage"):
        stage.system.error = InfrastructureError(cause="no space left", remedy="free some")
        with pytest.raises(InfrastructureError, match="no space left"):
            stage.run(CREATE, KILL)
        assert stage.log[-1] == "close"
        assert "journal verdict" not in stage.log

    def test_being_told_to_stop_is_no_verdict(self, stage: "Stage"):
        stage.stop.set()
        with pytest.raises(Stopped):
            stage.run(CREATE)
        assert stage.log[-1] == "close"
        assert stage.system.asked == []

    def test_an_action_that_the_target_lacks_is_told(self, stage: "Stage"):
        stage.take_no_tasks()
        with pytest.raises(UsageError, match="cannot do create_tasks"):
            stage.run(CREATE)


class TestRecords:
    def test_exits_are_recorded_with_who_ordered_them(self, stage: "Stage"):
        stage.system.exited.append(
            ProcessExit(component="worker-1", pid=7, exit_code=1, ordered=False)
        )
        history = stage.run(CREATE).history
        assert history is not None
        assert [(gone.component, gone.exit_code, gone.ordered) for gone in history.exits] == [
            ("worker-1", 1, False)
        ]

    def test_an_unknown_outcome_is_recorded_and_waits_for_nothing(self, stage: "Stage"):
        stage.system.replies = [Reply(reception=Reception.SENT_WITHOUT_ANSWER)]
        result = stage.run(CREATE)
        assert result.verdict is Verdict.HOLDS
        assert result.history is not None
        assert result.history.creations[0].outcome is Outcome.UNKNOWN
        assert not result.history.creations[0].acknowledged
        assert result.history.steps[0].outcome is Outcome.UNKNOWN

    def test_states_seen_are_free_of_identities(self, stage: "Stage"):
        assert stage.run(CREATE).states_seen == stage.run(CREATE).states_seen

    def test_waiting_for_idle_does_not_apply_without_workers(self, stage: "Stage"):
        stage.system.workers = []
        history = stage.run(make_step("wait_idle")).history
        assert history is not None
        assert not history.steps[0].applied

    def test_waiting_for_a_lease_does_not_apply_without_one(self, stage: "Stage"):
        history = stage.run(make_step("wait_lease")).history
        assert history is not None
        assert not history.steps[0].applied
