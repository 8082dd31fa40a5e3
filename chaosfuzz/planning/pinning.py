"""Moments for the faults of drawn schedules."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import TypeVar

from hypothesis import strategies as st

from chaosfuzz.actions import Action, PlanModel, create_tasks, pause_worker
from chaosfuzz.domain.component import ComponentRole, worker
from chaosfuzz.domain.moment import Alphabet, EventClass, Moment
from chaosfuzz.domain.schedule import Step

# A request that work brings about is drawn so often beside one heartbeat, poll or ping. Chosen by
# hand, as are NTHS.
FOREGROUND_WEIGHT = 12
NTHS = (1, 1, 1, 1, 2)


T = TypeVar("T")
_NO_PIN: st.SearchStrategy[None] = st.none()


class Moments(StrEnum):
    """What decides when faults strike: requests, the clock, or either, drawn for each fault."""

    LOGICAL = "logical"
    CLOCK = "clock"
    BOTH = "both"


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A moment for a step, with a creation of tasks whose execution makes the moment come.

    `failing`: the moment comes only if a task fails.
    """

    moment: Moment
    load: Step
    failing: bool

    def is_brought_by(self, before: Step, workers: int) -> bool:
        """Say whether a step makes the moment come: it creates a task for each of the workers."""
        enough = before.created > 0 and before.created >= workers
        return enough and (not self.failing or before["failures"] > 0)


@dataclass(frozen=True, kw_only=True)
class Pinning:
    """The events to pin faults to, and whether faults are pinned."""

    alphabet: Alphabet = field(default_factory=Alphabet)
    moments: Moments = Moments.CLOCK

    def may_draw(self, action: Action) -> bool:
        """Say whether an action can strike at all; without moments, some cannot."""
        return self.moments is not Moments.CLOCK or not action.needs_moment

    def can_pin(self, action: Action, model: PlanModel) -> bool:
        """Say whether a moment for an action may come in the state of the model."""
        return self.moments is not Moments.CLOCK and bool(self._events(action, model))

    def pins(self, action: Action, model: PlanModel) -> st.SearchStrategy[Pin | None]:
        """Return a strategy of pins for a step of an action; None: it strikes by the clock."""
        events = self._events(action, model) if self.moments is not Moments.CLOCK else ()
        if not events:
            return _NO_PIN
        pin = _pins(action, model, events)
        always = self.moments is Moments.LOGICAL or action.needs_moment
        return pin if always else _NO_PIN | pin

    def _events(self, action: Action, model: PlanModel) -> tuple[EventClass, ...]:
        """Return the events at which an action may strike, repeated by weight.

        Moments that only failing tasks bring are left out where no task fails. While the database
        is down no component makes requests to it.
        """
        role = self._role(action)
        if role is not ComponentRole.CLIENT and not model.database_up:
            return ()
        if action.strikes not in _REQUESTERS and not model.slots_without(pause_worker.name):
            return ()
        return tuple(
            event
            for event in self.alphabet.of(role)
            if model.style.failing or not event.failing
            for _ in range(1 if event.background else FOREGROUND_WEIGHT)
        )

    def _role(self, action: Action) -> ComponentRole:
        """Return the role whose requests are the moments of an action.

        Actions on components that make no requests strike at those of a worker.
        """
        if action.strikes in _REQUESTERS:
            assert action.strikes is not None
            return action.strikes
        return ComponentRole.WORKER


@cache
def one_of(values: tuple[T, ...]) -> st.SearchStrategy[T]:
    """Return a strategy that draws one of the values; cached, as making one is slow."""
    return st.sampled_from(values)


@st.composite
def loads(draw: st.DrawFn, model: PlanModel) -> Step:
    """Draw a step that creates tasks in the style of the model."""
    return create_tasks.moderate(create_tasks(**_arguments(draw, model)), model)


def _arguments(draw: st.DrawFn, model: PlanModel) -> dict[str, int]:
    choices = create_tasks.choices(model).items()
    return {name: draw(one_of(tuple(values))) for name, values in choices}


@st.composite
def _pins(draw: st.DrawFn, action: Action, model: PlanModel, events: tuple[EventClass, ...]) -> Pin:
    event = draw(one_of(events))
    own = action.strikes in _REQUESTERS
    workers = tuple(model.slots_without(pause_worker.name))
    moment = Moment(
        event=event.event,
        nth=draw(one_of(NTHS)),
        side=draw(one_of(event.sides if action.side is None else (action.side,))),
        component="" if own else str(worker(draw(one_of(workers)))),
    )
    arguments = _arguments(draw, model)
    if event.failing:
        arguments["failures"] = max(1, arguments["failures"])
    load = create_tasks.moderate(create_tasks(**arguments), model)
    load = load.having(count=max(load.created, len(model.workers_up)), delay_ms=0)
    return Pin(moment=moment, load=load, failing=event.failing)


_REQUESTERS = (ComponentRole.WORKER, ComponentRole.SERVER, ComponentRole.CLIENT)
