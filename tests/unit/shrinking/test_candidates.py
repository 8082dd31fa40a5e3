from collections.abc import Iterable

import pytest

from chaosfuzz.actions import make_step, repaired
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.shrinking.candidates import (
    fewer_workers,
    first_slots_first,
    least,
    plainer_steps,
    quick,
    simpler,
    without,
)

ONE = make_step("create_tasks", count=1)


def plan(*steps: Step, workers: int = 1) -> Schedule:
    schedule = Schedule(workers=workers, steps=steps)
    assert repaired(schedule) == schedule
    return schedule


def values(candidates: Iterable[Schedule], index: int, name: str) -> list[int]:
    return [candidate.steps[index][name] for candidate in candidates]


def kill(worker: int) -> Step:
    return make_step("kill_worker", worker=worker)


def pause(worker: int) -> Step:
    return make_step("pause_worker", worker=worker)


def resume(worker: int) -> Step:
    return make_step("resume_worker", worker=worker)


def scale(workers: int) -> Step:
    return make_step("scale_workers", workers=workers)


def test_steps_that_lose_their_partner_go_along() -> None:
    schedule = plan(ONE, pause(1), make_step("wait_lease"), resume(1))
    assert without(schedule, 1, 2) == plan(ONE, make_step("wait_lease"))


def test_references_keep_their_task() -> None:
    schedule = plan(make_step("create_tasks", count=3), ONE, make_step("cancel_task", task=4))
    assert without(schedule, 0, 1) == plan(ONE, make_step("cancel_task", task=1))


def test_fewer_workers_from_one_up() -> None:
    assert [s.workers for s in fewer_workers(plan(ONE, workers=3))] == [1, 2]


def test_slots_are_renamed_together() -> None:
    schedule = plan(pause(3), kill(2), resume(3), workers=3)
    assert first_slots_first(schedule) == plan(pause(1), kill(2), resume(1), workers=3)


@pytest.mark.parametrize(
    ("before", "index", "after"),
    [
        (plan(make_step("kill_server")), 0, plan(make_step("stop_server"))),
        (plan(ONE, make_step("wait", ms=400)), 1, plan(ONE, make_step("wait_idle"))),
        (plan(ONE, make_step("wait", ms=400)), 1, plan(ONE, make_step("wait_lease"))),
        (plan(ONE, scale(1), workers=3), 1, plan(ONE, kill(2), workers=3)),
        (plan(scale(3), ONE), 0, plan(ONE, workers=3)),
        (
            plan(kill(1), make_step("start_worker", worker=1), kill(1)),
            1,
            plan(kill(1), kill(2), workers=2),
        ),
        (plan(kill(1), ONE, kill(2), workers=2), 0, plan(ONE, kill(1))),
        (plan(pause(1), ONE, kill(2), workers=2), 0, plan(ONE, kill(1))),
        (plan(ONE, make_step("restart_worker", worker=1)), 1, plan(ONE, kill(1))),
    ],
)
def test_plainer_spelling(before: Schedule, index: int, after: Schedule) -> None:
    assert after in tuple(plainer_steps(before, index))


def test_short_waits_stay_waits() -> None:
    assert tuple(plainer_steps(plan(make_step("wait", ms=60)), 0)) == ()


def test_a_worker_that_comes_back_is_not_left_out() -> None:
    schedule = plan(pause(1), ONE, resume(1), workers=2)
    (killed,) = plainer_steps(schedule, 0)
    assert killed.workers == 2
    assert [step.action for step in killed.steps] == ["kill_worker", "create_tasks"]


def test_quick_leaves_what_takes_no_time() -> None:
    slow = make_step("create_tasks", count=4, duration_ms=900, delay_ms=400, priority=3)
    schedule = plan(slow, make_step("wait", ms=400))
    expected = plan(make_step("create_tasks", count=4, priority=3), make_step("wait", ms=1))
    assert quick(schedule) == expected


def test_least_is_everything_at_once() -> None:
    schedule = plan(
        make_step("create_tasks", count=4, duration_ms=900, failures=9),
        make_step("cancel_task", task=3),
        kill(2),
        workers=3,
    )
    plain = (ONE, make_step("cancel_task", task=1), kill(1))
    candidates = tuple(least(schedule))
    assert candidates[0] == plan(*plain)
    assert candidates[1] == plan(*plain, workers=3)


@pytest.mark.parametrize(
    ("step", "name", "expected"),
    [
        (make_step("create_tasks", count=10), "count", [1, 5, 9]),
        (make_step("create_tasks", count=2), "count", [1]),
        (make_step("create_tasks", count=1, failures=9), "failures", [0, 4, 8]),
        (make_step("create_tasks", count=1, duration_ms=900), "duration_ms", [0, 200, 500]),
        (make_step("create_tasks", count=1, duration_ms=1), "duration_ms", [0]),
        (make_step("create_tasks", count=1, priority=3), "priority", [1, 2]),
        (make_step("create_tasks", count=1, priority=0), "priority", [1]),
        (make_step("wait", ms=150), "ms", [1, 50]),
        (make_step("stop_database", mode=2), "mode", [0, 1]),
    ],
)
def test_simpler_values(step: Step, name: str, expected: list[int]) -> None:
    assert values(simpler(plan(step), 0), 0, name) == expected


def test_the_task_that_is_named_is_the_one_that_is_kept() -> None:
    six = make_step("create_tasks", count=6)
    schedule = plan(ONE, six, make_step("cancel_task", task=7), make_step("cancel_task", task=1))
    kept = plan(ONE, ONE, make_step("cancel_task", task=2), make_step("cancel_task", task=1))
    assert next(simpler(schedule, 1)) == kept


def test_how_to_retry_goes_with_the_failures() -> None:
    failing = make_step("create_tasks", count=1, failures=2, strategy=1)
    assert plan(ONE) in tuple(simpler(plan(failing), 0))
    assert quick(plan(failing)) == plan(ONE)


def test_slots_and_defaults_are_left_alone() -> None:
    assert tuple(simpler(plan(kill(2), workers=2), 0)) == ()
    assert tuple(simpler(plan(ONE), 0)) == ()
