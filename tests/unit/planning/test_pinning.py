from itertools import islice

from hypothesis import HealthCheck, Phase, given, seed, settings

from chaosfuzz.actions import (
    Action,
    PlanModel,
    all_actions,
    apply,
    kill_worker,
    make_step,
    stop_database,
)
from chaosfuzz.actions.plan import WorkStyle
from chaosfuzz.domain.component import worker
from chaosfuzz.domain.moment import Alphabet, EventClass, Side
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.planning import Moments, Pinning, schedules
from chaosfuzz.planning.pinning import Pin

ACTIONS = tuple(action.name for action in all_actions())
CLAIM = EventClass(role="worker", event="UPDATE claim", polled=True)
DONE = EventClass(role="worker", event="UPDATE done")
GIVEN_UP = EventClass(role="worker", event="UPDATE failed", failing=True)
POLL = EventClass(role="worker", event="SELECT poll", background=True)
INSERT = EventClass(role="server", event="INSERT tasks")
ALPHABET = Alphabet(events=(CLAIM, DONE, GIVEN_UP, POLL, INSERT))


def drawn(moments: Moments, count: int = 40) -> list[Schedule]:
    pinning = Pinning(alphabet=ALPHABET, moments=moments)
    return list(islice(schedules(ACTIONS, 12, 3, pinning), count))


def faults(planned: list[Schedule]) -> list[bool]:
    """Whether each fault that can be pinned is, while there is who makes requests, and of whom."""
    pinned = []
    for schedule in planned:
        model = PlanModel.of(schedule.workers)
        for step in schedule.steps:
            asks = model.database_up and model.slots_without("pause_worker")
            if step.kind.pinnable and asks:
                pinned.append(step.at is not None)
            apply(step, model)
    return pinned


def pins(
    action: Action, model: PlanModel, *, failing: bool = True, alphabet: Alphabet = ALPHABET
) -> list[Pin | None]:
    """Pins that Hypothesis draws for an action, the same ones every time."""
    model.style = WorkStyle(failing=failing)
    found: list[Pin | None] = []

    @seed(1)
    # One pin in 37 is background: none in 600 has a probability below 1e-7.
    @settings(
        max_examples=600,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(Pinning(alphabet=alphabet, moments=Moments.LOGICAL).pins(action, model))
    def draw(pin: Pin | None) -> None:
        found.append(pin)

    draw()
    return found


def events(action: Action, model: PlanModel, *, failing: bool) -> list[str]:
    return [pin.moment.event for pin in pins(action, model, failing=failing) if pin is not None]


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
    model = PlanModel(workers_up={2, 3}, in_force={("pause_worker", worker(3))})
    drawn_pins = pins(stop_database, model)
    assert {pin.moment.component for pin in drawn_pins if pin is not None} == {"worker-2"}
    assert None not in drawn_pins


def test_what_only_failing_tasks_bring_is_not_waited_for_without_one():
    assert GIVEN_UP.event not in events(kill_worker, PlanModel.of(1), failing=False)
    assert GIVEN_UP.event in events(kill_worker, PlanModel.of(1), failing=True)


def test_a_moment_that_only_failing_tasks_bring_comes_with_failing_work():
    for pin in pins(kill_worker, PlanModel.of(1)):
        assert pin is not None
        assert pin.load["failures"] > 0 or pin.moment.event != GIVEN_UP.event


def test_the_work_that_brings_a_moment_is_enough_for_every_worker():
    for pin in pins(kill_worker, PlanModel.of(3)):
        assert pin is not None
        assert pin.load.created >= 3
        assert pin.is_brought_by(pin.load, 3)
        assert not pin.is_brought_by(pin.load.having(count=2), 3)


def test_background_is_drawn_rarely_but_drawn():
    drawn_events = events(kill_worker, PlanModel.of(1), failing=True)
    assert 0 < drawn_events.count(POLL.event) < len(drawn_events) / 5


def test_what_is_polled_is_struck_after_it_had_an_effect():
    for pin in pins(kill_worker, PlanModel.of(1), alphabet=Alphabet(events=(CLAIM,))):
        assert pin is not None
        assert pin.moment.side is Side.AFTER


def test_nothing_is_pinned_to_requests_to_a_database_that_is_down():
    model = PlanModel.of(1)
    apply(make_step("stop_database", mode=0), model)
    assert set(pins(kill_worker, model)) == {None}
