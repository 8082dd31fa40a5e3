"""What lasting faults of containers make possible, and what ends them."""

import pytest

from chaosfuzz.actions import (
    PlanModel,
    Step,
    all_actions,
    apply,
    find_action,
    make_step,
    offered,
    possible,
    repaired,
)
from chaosfuzz.domain.abilities import CONTAINER_ABILITIES, PROCESS_ABILITIES
from chaosfuzz.domain.schedule import Schedule

LASTING = {
    fault: action.name
    for action in all_actions()
    for fault in action.heals
    if find_action(fault).lasts
}


def step(name: str) -> Step:
    return make_step(name)


def after(*names: str) -> PlanModel:
    model = PlanModel.of(2)
    for name in names:
        apply(step(name), model)
    return model


@pytest.mark.parametrize(("fault", "heal"), LASTING.items())
def test_a_lasting_fault_is_possible_once_and_then_its_healing_is(fault: str, heal: str) -> None:
    model = after()
    assert not possible(step(heal), model)
    apply(step(fault), model)
    assert not possible(step(fault), model)
    assert model.faults_in_force() == 1
    apply(step(heal), model)
    assert model.faults_in_force() == 0
    assert possible(step(fault), model)


@pytest.mark.parametrize("end", ["kill_worker", "restart_worker", "exhaust_memory"])
@pytest.mark.parametrize("fault", ["disconnect_worker", "lose_packets", "limit_cpu", "skew_clock"])
def test_a_worker_that_ends_takes_its_faults_along(fault: str, end: str) -> None:
    model = after(fault, end)
    assert not possible(step(LASTING[fault]), model)
    assert not model.in_force


def test_a_database_without_disk_is_not_started() -> None:
    model = after("stop_database")
    assert not possible(step("fill_disk"), model)
    full = after("fill_disk")
    assert not possible(make_step("stop_database", mode=0), full)
    assert possible(step("free_disk"), full)


def test_a_healing_that_lost_its_fault_is_taken_out() -> None:
    schedule = Schedule(workers=1, steps=(step("connect_worker"), step("disconnect_worker")))
    assert repaired(schedule).steps == (step("disconnect_worker"),)


def test_a_target_without_containers_offers_nothing_that_needs_them() -> None:
    plain = set(offered(PROCESS_ABILITIES))
    special = {a.name for a in all_actions() if a.abilities & CONTAINER_ABILITIES}
    assert special.isdisjoint(plain)
    assert special | plain == {action.name for action in all_actions()}


def test_a_killed_worker_with_a_restart_policy_is_up_again_without_its_faults() -> None:
    always = make_step("set_restart_policy", worker=1, policy=2)
    model = after()
    apply(always, model)
    assert not possible(always, model)
    apply(step("lose_packets"), model)
    apply(make_step("kill_worker", worker=1, signal=0), model)
    assert not model.in_force
    assert possible(step("kill_worker"), model)
    assert not possible(step("start_worker"), model)


def test_one_asked_politely_stays_down_whatever_the_policy() -> None:
    model = after("set_restart_policy")
    apply(make_step("kill_worker", worker=1, signal=1), model)
    assert possible(step("start_worker"), model)
