import threading
from datetime import UTC, datetime

import pytest
from unit.api.foreign import ForeignSystem, serving

from chaosfuzz.api import Api, sign_up
from chaosfuzz.api.flood import Flood, FloodPlan
from chaosfuzz.domain.errors import InfrastructureError, UsageError


def flood(system: ForeignSystem, plan: FloodPlan, *, stall_s: float = 5, wait: bool = True):
    with serving(system) as url, Api(url) as api:
        api.token = sign_up(api).token
        running = Flood(api, plan, threading.Event(), wait=wait, stall_s=stall_s)
        for _ in running.run():
            pass
        return running.summary()


@pytest.mark.parametrize(("share", "failing"), [(0, []), (0.25, [3, 7]), (1, list(range(8)))])
def test_the_failing_share_is_spread_evenly(share: float, failing: list[int]):
    plan = FloodPlan(count=8, task_types=("email",), failing=share)
    assert [index for index in range(8) if plan.fails(index)] == failing
    assert plan.to_fail == len(failing)


def test_types_take_turns_and_what_is_to_fail_has_a_payload_for_it():
    plan = FloodPlan(count=4, task_types=("email", "webhook"), failing=0.5, tag="t", priority="low")
    tasks = [plan.task(index, None) for index in range(4)]
    assert [task.task_type for task in tasks] == ["email", "webhook", "email", "webhook"]
    assert ["fail" in str(task.payload) for task in tasks] == [False, True, False, True]
    assert tasks[0].body()["metadata"] == {"tag": "t"}
    assert tasks[0].body()["priority"] == "low"


def test_a_delay_task_is_told_how_long_and_until_when():
    due = datetime(2030, 1, 1, tzinfo=UTC)
    payload = FloodPlan(count=1, delay_s=2.5).task(0, due).payload
    assert payload["delay_seconds"] == 2.5
    assert payload["deadline"] == "2030-01-01T00:00:00+00:00"


def test_a_type_that_cannot_fail_is_refused():
    with pytest.raises(UsageError, match="file_cleanup"):
        FloodPlan(count=1, task_types=("email", "file_cleanup"), failing=0.1)


def test_a_server_with_fewer_fields_is_flooded():
    summary = flood(ForeignSystem(), FloodPlan(count=2, tag="t", deadline_s=60))
    assert (summary.created, summary.completed, summary.deadline_met) == (2, 2, True)
    assert summary.is_well


def test_a_task_that_fails_and_was_not_to_is_no_success():
    summary = flood(ForeignSystem(ending="failed"), FloodPlan(count=1, tag="t"))
    assert (summary.failed, summary.ending, summary.is_well) == (1, "done", False)


def test_a_task_that_is_gone_has_not_ended():
    system = ForeignSystem()
    system.forgets = True
    summary = flood(system, FloodPlan(count=2, tag="t"), stall_s=0.1)
    assert (summary.unfinished, summary.ending, summary.is_well) == (2, "stalled", False)


def test_without_waiting_nothing_is_known_of_the_end():
    summary = flood(ForeignSystem(), FloodPlan(count=2, tag="t", deadline_s=9), wait=False)
    assert (summary.created, summary.completed, summary.deadline_met) == (2, 0, None)
    assert summary.is_well


def test_a_server_that_is_none_is_said_to_be_none():
    with serving(lambda *_: (200, ["what?"])) as url, Api(url) as api:
        with pytest.raises(InfrastructureError, match="POST /auth/login"):
            sign_up(api)
        with pytest.raises(InfrastructureError, match="GET /tasks"):
            list(api.tasks())
