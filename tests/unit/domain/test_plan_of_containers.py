"""What lasting faults of containers make possible, and what ends them."""

import pytest

from chaosfuzz.domain.action import CATALOGUE, PLAIN_ACTIONS, find_action
from chaosfuzz.domain.container_actions import ABILITIES, CONTAINER_ACTIONS
from chaosfuzz.domain.plan import LASTING, PlanModel, repaired
from chaosfuzz.domain.schedule import Schedule, Step, make_step


def step(name: str) -> Step:
    has_worker = any(parameter.name == "worker" for parameter in find_action(name).parameters)
    return make_step(name, worker=1) if has_worker else make_step(name)


def after(*names: str) -> PlanModel:
    model = PlanModel.of(2)
    for name in names:
        model.apply(step(name))
    return model


@pytest.mark.parametrize(("fault", "heal"), LASTING.items())
def test_a_lasting_fault_is_possible_once_and_then_its_healing_is(fault: str, heal: str) -> None:
    model = after()
    assert not model.possible(step(heal))
    model.apply(step(fault))
    assert not model.possible(step(fault))
    assert model.faults_in_force() == 1
    model.apply(step(heal))
    assert model.faults_in_force() == 0
    assert model.possible(step(fault))


@pytest.mark.parametrize("end", ["kill_worker", "restart_worker", "exhaust_memory"])
@pytest.mark.parametrize("fault", ["disconnect_worker", "lose_packets", "limit_cpu", "skew_clock"])
def test_a_worker_that_ends_takes_its_faults_along(fault: str, end: str) -> None:
    model = after(fault, end)
    assert not model.possible(step(LASTING[fault]))
    assert not model.afflicted


def test_a_database_without_disk_is_not_started() -> None:
    model = after("stop_database")
    assert not model.possible(step("fill_disk"))
    full = after("fill_disk")
    assert not full.possible(make_step("stop_database", mode=0))
    assert full.possible(step("free_disk"))


def test_a_healing_that_lost_its_fault_is_taken_out() -> None:
    schedule = Schedule(workers=1, steps=(step("connect_worker"), step("disconnect_worker")))
    assert repaired(schedule).steps == (step("disconnect_worker"),)


def test_plain_targets_offer_no_action_that_needs_an_ability() -> None:
    assert all(action.ability in ABILITIES for action in CONTAINER_ACTIONS)
    special = {action.name for action in CONTAINER_ACTIONS}
    assert special.isdisjoint(PLAIN_ACTIONS)
    assert special | set(PLAIN_ACTIONS) == {action.name for action in CATALOGUE}


def test_every_container_fault_that_lasts_names_a_healing_of_the_same_ability() -> None:
    for fault, heal in LASTING.items():
        assert find_action(fault).ability == find_action(heal).ability
        assert find_action(heal).heals in LASTING


def test_a_killed_worker_with_a_restart_policy_is_up_again_without_its_faults() -> None:
    always = make_step("set_restart_policy", worker=1, policy=2)
    model = after()
    model.apply(always)
    assert not model.possible(always)
    model.apply(step("lose_packets"))
    model.apply(make_step("kill_worker", worker=1, signal=0))
    assert not model.afflicted
    assert model.possible(step("kill_worker"))
    assert not model.possible(step("start_worker"))


def test_one_asked_politely_stays_down_whatever_the_policy() -> None:
    model = after("set_restart_policy")
    model.apply(make_step("kill_worker", worker=1, signal=1))
    assert model.possible(step("start_worker"))
