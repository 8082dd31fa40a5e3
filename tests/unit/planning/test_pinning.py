from itertools import islice

import pytest

from chaosfuzz.actions import PlanModel, all_actions, apply, make_step
from chaosfuzz.domain.moment import Alphabet, EventClass, Side
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.planning import Moments, Pinning, schedules

ACTIONS = tuple(action.name for action in all_actions())
CLAIM = EventClass(role="worker", event="UPDATE claim", polled=True)
DONE = EventClass(role="worker", event="UPDATE done")
GIVEN_UP = EventClass(role="worker", event="UPDATE failed", failing=True)
POLL = EventClass(role="worker", event="SELECT poll", background=True)
INSERT = EventClass(role="server", event="INSERT tasks")
ALPHABET = Alphabet(events=(CLAIM, DONE, GIVEN_UP, POLL, INSERT))
KILL = make_step("kill_worker", worker=1)


def drawn(moments: Moments, count: int = 40) -> list[Schedule]:
    pinning = Pinning(alphabet=ALPHABET, moments=moments)
    return list(islice(schedules(ACTIONS, 12, 3, pinning), count))


def faults(planned: list[Schedule]) -> list[bool]:
    """Whether each fault that can be pinned is, while there is who makes requests, and of whom."""
    pinned = []
    for schedule in planned:
        model = PlanModel.of(schedule.workers)
        for step in schedule.steps:
            asks = model.database_up and model.workers_up - model.workers_paused
            if step.kind.pinnable and asks:
                pinned.append(step.at is not None)
            apply(step, model)
    return pinned


def events(moments: Moments, *, failing: bool) -> set[str]:
    pinning = Pinning(alphabet=ALPHABET, moments=moments)
    pinned = (
        pinning.pinned(KILL, PlanModel.of(1), number, failing=failing) for number in range(300)
    )
    return {step.at.event for step in pinned if step.at is not None}


def test_by_the_clock_nothing_is_pinned():
    assert not any(faults(drawn(Moments.CLOCK)))


def test_logically_everything_is_pinned():
    assert all(faults(drawn(Moments.LOGICAL)))


def test_both_are_mixed():
    # Many, since what every day brings is first, mostly without faults.
    pinned = faults(drawn(Moments.BOTH, 120))
    assert 0.2 < sum(pinned) / len(pinned) < 0.8


def test_the_same_seed_and_alphabet_give_the_same_schedules():
    assert drawn(Moments.BOTH) == drawn(Moments.BOTH)


def test_work_is_in_front_of_a_moment():
    for schedule in drawn(Moments.LOGICAL):
        for before, step in zip(schedule.steps, schedule.steps[1:], strict=False):
            if step.at is not None:
                assert before.action == "create_tasks" or before.at is not None


def test_a_fault_strikes_at_requests_of_its_own_role():
    for schedule in drawn(Moments.LOGICAL):
        for step in schedule.steps:
            if step.at is not None:
                wanted = "server" if step.action.endswith("server") else "worker"
                assert step.at.event in {event.event for event in ALPHABET.of(wanted)}
                assert step.at.component == "" or step.at.component.startswith(wanted)


def test_a_fault_of_all_names_the_component_whose_request_it_is():
    pinning = Pinning(alphabet=ALPHABET, moments=Moments.LOGICAL)
    model = PlanModel(workers_up={2, 3}, workers_paused={3})
    step = pinning.pinned(make_step("stop_database"), model, 1, failing=False)
    assert step.at is not None
    assert step.at.component == "worker-2"


def test_what_only_failing_tasks_bring_is_not_waited_for_without_one():
    assert GIVEN_UP.event not in events(Moments.LOGICAL, failing=False)
    assert GIVEN_UP.event in events(Moments.LOGICAL, failing=True)


def test_background_is_drawn_rarely_but_drawn():
    pinning = Pinning(alphabet=ALPHABET, moments=Moments.LOGICAL)
    pinned = [pinning.pinned(KILL, PlanModel.of(1), n, failing=True) for n in range(1000)]
    polls = sum(step.at is not None and step.at.event == POLL.event for step in pinned)
    assert 0 < polls < 100


@pytest.mark.parametrize("number", range(20))
def test_what_is_polled_is_struck_after_it_had_an_effect(number: int):
    only = Pinning(alphabet=Alphabet(events=(CLAIM,)), moments=Moments.LOGICAL)
    step = only.pinned(KILL, PlanModel.of(1), number, failing=False)
    assert step.at is not None
    assert step.at.side is Side.AFTER


def test_nothing_is_pinned_to_requests_to_a_database_that_is_down():
    pinning = Pinning(alphabet=ALPHABET, moments=Moments.LOGICAL)
    model = PlanModel.of(1)
    apply(make_step("stop_database", mode=0), model)
    assert all(pinning.pinned(KILL, model, number, failing=False) == KILL for number in range(50))
