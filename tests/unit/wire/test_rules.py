"""Which rule acts at which event, decided without any connection."""

from chaosfuzz.domain.moment import Side
from chaosfuzz.domain.wire import Intervention
from chaosfuzz.wire.event import Event, RequestKind, Status
from chaosfuzz.wire.rules import Rule, RuleController
from chaosfuzz.wire.statement import Classifier


def new_event() -> Event:
    statement = Classifier().classify(b"select 1")
    return Event(
        component="worker-1", kind=RequestKind.QUERY, statement=statement, key="SELECT", nth=1
    )


def rule(side: Side, nth: int = 1) -> Rule:
    return Rule(matches=lambda _event: True, intervention=Intervention.CUT, side=side, nth=nth)


def controller_of(*rules: Rule) -> RuleController:
    controller = RuleController()
    for each in rules:
        controller.add(each)
    return controller


def under_way(controller: RuleController) -> Event:
    """An event that has arrived and has not ended."""
    event = new_event()
    assert controller.arrived(event) is None
    return event


def end(controller: RuleController, event: Event, status: Status = Status.OK) -> Rule | None:
    event.status, event.detail = status, "SELECT 1"
    return controller.ended(event)


def test_a_rule_after_acts_at_the_end_of_what_is_under_way():
    after = rule(Side.AFTER)
    controller = controller_of(after)
    assert end(controller, under_way(controller)) is after


def test_a_rule_removed_meanwhile_does_not_act():
    after = rule(Side.AFTER)
    controller = controller_of(after)
    event = under_way(controller)
    controller.remove(after)
    assert end(controller, event) is None


def test_a_rule_added_meanwhile_does_not_act():
    controller = controller_of()
    event = under_way(controller)
    controller.add(rule(Side.AFTER))
    assert end(controller, event) is None


def test_what_is_cut_or_skipped_does_not_count():
    after = rule(Side.AFTER)
    controller = controller_of(after)
    for status in (Status.CUT, Status.SKIPPED):
        assert end(controller, under_way(controller), status) is None
    assert end(controller, under_way(controller)) is after


def test_one_event_has_a_rule_on_each_side():
    before, after = rule(Side.BEFORE), rule(Side.AFTER)
    controller = controller_of(after, before)
    event = new_event()
    assert controller.arrived(event) is before
    assert end(controller, event) is after


def test_the_first_of_two_rules_acts_and_both_count():
    first, second, third = rule(Side.BEFORE), rule(Side.BEFORE), rule(Side.BEFORE, nth=2)
    controller = controller_of(first, second, third)
    assert [controller.arrived(new_event()) for _ in range(3)] == [first, third, None]
