"""Which faults of a schedule strike at a moment, and at which."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import TypeVar

from hypothesis import strategies as st

from chaosfuzz.actions import Action, PlanModel, create_tasks
from chaosfuzz.domain.component import ComponentRole, worker
from chaosfuzz.domain.moment import Alphabet, EventClass, Moment
from chaosfuzz.domain.schedule import Step

# A request that work brings about is drawn so often beside one heartbeat, poll or ping.
FOREGROUND_WEIGHT = 12
NTHS = (1, 1, 1, 1, 2)


T = TypeVar("T")
_NO_PIN: st.SearchStrategy[None] = st.none()


class Moments(StrEnum):
    """What faults are pinned to: requests, the clock, or now one and now the other."""

    LOGICAL = "logical"
    CLOCK = "clock"
    BOTH = "both"


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A moment for a step, with the work that brings the moment about."""

    moment: Moment
    load: Step
    failing: bool

    def is_brought_by(self, before: Step, workers: int) -> bool:
        """Say whether a step makes work for every worker, so that each makes the request."""
        enough = before.created > 0 and before.created >= workers
        return enough and (not self.failing or before["failures"] > 0)


@dataclass(frozen=True, kw_only=True)
class Pinning:
    """The events to pin faults to, and how many of the faults are."""

    alphabet: Alphabet = field(default_factory=Alphabet)
    moments: Moments = Moments.CLOCK

    def may_draw(self, action: Action) -> bool:
        """Say whether an action can strike at all: some only do at a moment."""
        return self.moments is not Moments.CLOCK or not action.needs_moment

    def can_pin(self, action: Action, model: PlanModel) -> bool:
        """Say whether a moment for an action may come in the state of the model."""
        return self.moments is not Moments.CLOCK and bool(self._events(action, model))

    def pins(self, action: Action, model: PlanModel) -> st.SearchStrategy[Pin | None]:
        """Return pins for a step of an action, and None where it may strike by the clock."""
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
        if action.strikes not in _REQUESTERS and not model.workers_up - model.workers_paused:
            return ()
        return tuple(
            event
            for event in self.alphabet.of(role)
            if model.style.failing or not event.failing
            for _ in range(1 if event.background else FOREGROUND_WEIGHT)
        )

    def _role(self, action: Action) -> ComponentRole:
        """Return whose requests an action strikes at; a worker's if it acts on none of its own."""
        if action.strikes in _REQUESTERS:
            assert action.strikes is not None
            return action.strikes
        return ComponentRole.WORKER


@cache
def one_of(values: tuple[T, ...]) -> st.SearchStrategy[T]:
    """Return a strategy that draws one of the values; the same one again for the same values."""
    return st.sampled_from(values)


@st.composite
def loads(draw: st.DrawFn, model: PlanModel) -> Step:
    """Draw a creation of tasks in the style of the schedule."""
    return create_tasks.moderate(create_tasks(**_arguments(draw, model)), model)


def _arguments(draw: st.DrawFn, model: PlanModel) -> dict[str, int]:
    choices = create_tasks.choices(model).items()
    return {name: draw(one_of(tuple(values))) for name, values in choices}


@st.composite
def _pins(draw: st.DrawFn, action: Action, model: PlanModel, events: tuple[EventClass, ...]) -> Pin:
    event = draw(one_of(events))
    own = action.strikes in _REQUESTERS
    workers = tuple(sorted(model.workers_up - model.workers_paused))
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
