"""The registry of actions: the bundled ones and the user's own."""

from collections.abc import Collection
from typing import TypeVar

from chaosfuzz.actions.action import Action
from chaosfuzz.actions.context import ActionContext
from chaosfuzz.actions.loading import import_own_actions
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.schedule import Schedule, Step

_ACTIONS: dict[str, Action] = {}
_OWN_IMPORTED: list[bool] = []

SomeAction = TypeVar("SomeAction", bound=Action)


def register(action: SomeAction) -> SomeAction:
    """Add an action to those that can be drawn, read from files and listed; return it.

    Raises UsageError if the action has no name, role or summary, or another action has its name.
    """
    required = ("name", "role", "summary")
    missing = [attribute for attribute in required if not getattr(action, attribute, "")]
    if missing:
        raise UsageError(
            cause=f"{type(action).__name__} is an action without {' and '.join(missing)}",
            remedy="give the class these; its summary is the docstring (docs/actions.md)",
        )
    if action.name in _ACTIONS:
        raise UsageError(
            cause=f"there are two actions named {action.name!r}", remedy="give one another name"
        )
    _ACTIONS[action.name] = action
    return action


def all_actions() -> tuple[Action, ...]:
    """Return all actions: the bundled ones, then the user's.

    Raises UsageError if a user's file of actions cannot be imported.
    """
    _import_own()
    return tuple(_ACTIONS.values())


def find_action(name: str) -> Action:
    """Return the action of that name; raise UsageError, with all names, for an unknown one."""
    if name not in _ACTIONS:
        _import_own()
    action = _ACTIONS.get(name)
    if action is None:
        raise UsageError(
            cause=f"unknown action {name!r}", remedy=f"choose among: {', '.join(_ACTIONS)}"
        )
    return action


def make_step(name: str, **arguments: int) -> Step:
    """Return a checked step of the action of that name.

    Raises UsageError for an unknown action or argument, or a value out of range.
    """
    return find_action(name)(**arguments)


def offered(abilities: Collection[Ability]) -> tuple[str, ...]:
    """Return the names of the actions that a target with these abilities offers."""
    able = frozenset(abilities)
    return tuple(action.name for action in all_actions() if action.abilities <= able)


def action_of(step: Step) -> Action:
    """Return the action of a step."""
    assert isinstance(step.kind, Action), step
    return step.kind


def requester_of(step: Step) -> str:
    """Return the component whose requests are a step's moments unless its moment names another."""
    requester = action_of(step).requester(step)
    return "" if requester is None else str(requester)


def whose_moment(step: Step) -> str:
    """Return the component whose request the moment of a step is.

    The text is empty if the step has no moment, or if neither moment nor action names a component.
    """
    if step.at is None:
        return ""
    return step.at.component or (CLIENT if step.at.is_http else requester_of(step))


def possible(step: Step, model: PlanModel) -> bool:
    """Say whether a step does anything in the state that the model describes."""
    return action_of(step).possible(step, model)


def apply(step: Step, model: PlanModel) -> None:
    """Change the model as a possible step changes the system."""
    assert possible(step, model), f"{step} is not possible in {model}"
    action_of(step).apply(step, model)


def planned(schedule: Schedule, length: int | None = None) -> PlanModel:
    """Return the model after the first `length` steps of a schedule, or after all of them."""
    model = PlanModel.of(schedule.workers)
    for step in schedule.steps[:length]:
        if possible(step, model):
            apply(step, model)
    return model


def repaired(schedule: Schedule) -> Schedule:
    """Return the schedule without the steps that would do nothing in it."""
    model = PlanModel.of(schedule.workers)
    idle: dict[int, Step | None] = {}
    for index, step in enumerate(schedule.steps):
        if possible(step, model):
            apply(step, model)
        else:
            idle[index] = None
    return schedule.edited(idle) if idle else schedule


def perform(step: Step, context: ActionContext) -> Performed:
    """Do a step on a running system; raise UsageError if the target lacks the ability."""
    return action_of(step).perform(step, context)


def heal_all(context: ActionContext) -> None:
    """Undo every fault that is in force, action by action in the order of `healing_turn`."""
    for action in sorted(all_actions(), key=lambda action: action.healing_turn):
        action.heal(context)


def _import_own() -> None:
    """Import the user's own actions, once in the life of this process."""
    if not _OWN_IMPORTED:
        _OWN_IMPORTED.append(True)
        import_own_actions()
