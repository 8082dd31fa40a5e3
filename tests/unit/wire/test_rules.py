from chaosfuzz.wire import Cut, Rule, RuleController, Side
from chaosfuzz.wire.event import Event, RequestKind, Status
from chaosfuzz.wire.statement import Classifier


def under_way(controller: RuleController) -> Event:
    """An event that has arrived and has not ended."""
    event = Event(
        component="worker-1",
        incarnation=1,
        connection=1,
        kind=RequestKind.QUERY,
        statement=Classifier().classify(b"select 1"),
        key="SELECT",
        nth=1,
        total=1,
    )
    event.after = controller.before(event)
    return event


def end(controller: RuleController, event: Event) -> None:
    event.status, event.detail = Status.OK, "SELECT 1"
    controller.done(event)


RULE = Rule(intervention=Cut(side=Side.AFTER), if_ended=lambda _: True)


def test_a_rule_about_ends_acts_at_the_end_of_what_is_under_way():
    controller = RuleController([RULE])
    event = under_way(controller)
    end(controller, event)
    assert event.after is RULE.intervention


def test_a_rule_removed_meanwhile_does_not_act_at_its_end():
    controller = RuleController([RULE])
    event = under_way(controller)
    controller.remove(RULE)
    end(controller, event)
    assert event.after is None
