import pytest

from chaosfuzz.actions import Action, PlanModel, Role, all_actions, find_action, register
from chaosfuzz.domain.errors import UsageError

PARAMETERS = [(action, parameter) for action in all_actions() for parameter in action.parameters]


def named(value: object) -> str:
    return str(getattr(value, "name", value))


def test_names_are_distinct():
    names = [action.name for action in all_actions()]
    assert len(names) == len(set(names))


def test_what_heals_names_a_fault():
    for action in all_actions():
        assert bool(action.heals) == (action.role is Role.HEAL), action.name
        for fault in action.heals:
            assert find_action(fault).role is Role.FAULT


def test_every_fault_that_lasts_has_a_healing_with_the_same_ability():
    for fault in (action for action in all_actions() if action.lasts):
        (healing,) = (action for action in all_actions() if fault.name in action.heals)
        assert healing.abilities == fault.abilities, fault.name


@pytest.mark.parametrize(("action", "parameter"), PARAMETERS, ids=named)
class TestParameters:
    def test_the_default_is_in_range(self, action, parameter):  # noqa: ANN001
        assert parameter.check(parameter.default, action.name) == parameter.default

    def test_what_is_shown_is_read_back(self, action, parameter):  # noqa: ANN001
        for value in {parameter.low, parameter.default, parameter.high}:
            assert parameter.read(parameter.show(value), action.name) == value

    def test_there_is_a_label_for_each_value(self, action, parameter):  # noqa: ANN001
        if parameter.labels:
            assert (parameter.low, parameter.high) == (0, len(parameter.labels) - 1)

    def test_beyond_the_range_is_refused(self, action, parameter):  # noqa: ANN001
        for value in (parameter.low - 1, parameter.high + 1):
            with pytest.raises(UsageError, match=f"use {parameter.low} to {parameter.high}"):
                parameter.check(value, action.name)

    @pytest.mark.parametrize("shown", [True, False, None, 1.0, "x", [], {}])
    def test_what_is_no_value_is_refused(self, action, parameter, shown):  # noqa: ANN001
        with pytest.raises(UsageError, match=f"{action.name}: {parameter.name}="):
            parameter.read(shown, action.name)


def test_a_label_is_a_word_and_not_its_number():
    priority = find_action("create_tasks").parameter("priority")
    assert (priority.show(2), priority.read("critical", "create_tasks")) == ("high", 3)
    with pytest.raises(UsageError, match="priority=2 is unknown\nuse low, normal, high, critical"):
        priority.read(2, "create_tasks")


def test_an_unknown_action_is_told_with_those_there_are():
    with pytest.raises(UsageError, match="unknown action 'explode'\nchoose among: create_tasks, "):
        find_action("explode")


def test_an_unknown_argument_is_told_with_those_there_are():
    with pytest.raises(UsageError, match="unknown argument 'x'\nchoose among: worker, signal"):
        find_action("kill_worker").parameter("x")
    with pytest.raises(UsageError, match="choose among: none"):
        find_action("wait_idle").parameter("x")


def test_an_action_without_what_every_action_needs_is_refused():
    class Purposeless(Action):
        name = "purposeless"

    with pytest.raises(UsageError, match="Purposeless is an action without role and summary"):
        register(Purposeless())


def test_the_summary_is_the_first_line_of_the_docstring():
    assert find_action("stop_database").summary == "stop PostgreSQL"


def test_two_actions_of_one_name_are_refused():
    with pytest.raises(UsageError, match="two actions named 'kill_worker'"):
        register(find_action("kill_worker"))


def test_every_bundled_action_is_weighted_and_possible_somewhere():
    for action in all_actions():
        assert action.weight > 0, action.name
        choices = action.choices(PlanModel.of(2))
        assert set(choices) == {parameter.name for parameter in action.parameters}, action.name
