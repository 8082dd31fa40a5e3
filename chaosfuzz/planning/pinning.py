"""Which faults of a schedule strike at a moment, and at which."""

from dataclasses import dataclass, field
from enum import StrEnum

from chaosfuzz.actions import Action, PlanModel, action_of
from chaosfuzz.domain.component import worker
from chaosfuzz.domain.moment import Alphabet, EventClass, Moment
from chaosfuzz.domain.schedule import Step
from chaosfuzz.planning.spread import spread

FOREGROUND_WEIGHT, BACKGROUND_WEIGHT = 12, 1
NTHS = (1, 1, 1, 1, 2)


class Moments(StrEnum):
    """What faults are pinned to: requests, the clock, or now one and now the other."""

    LOGICAL = "logical"
    CLOCK = "clock"
    BOTH = "both"


@dataclass(frozen=True, kw_only=True)
class Pinning:
    """The events to pin faults to, and how many of the faults are."""

    alphabet: Alphabet = field(default_factory=Alphabet)
    moments: Moments = Moments.CLOCK

    def may_draw(self, action: Action) -> bool:
        """Say whether an action can strike at all: some only do at a moment."""
        return self.moments is not Moments.CLOCK or not action.needs_moment

    def pinned(self, step: Step, model: PlanModel, number: int, *, failing: bool) -> Step:
        """Return the step with a moment, or without one; the number decides which.

        Where no task is failing, moments that only failing tasks bring are left out.
        A fault of the database or of all workers strikes at a request of some worker. While the
        database is down nobody makes requests to it, so nothing is pinned to one.
        """
        action = action_of(step)
        if not action.pinnable or self.moments is Moments.CLOCK:
            return step
        always = self.moments is Moments.LOGICAL or action.needs_moment
        wanted = always or spread(number) % 2 == 0
        role, component = _whose(step, model, number)
        may_come = role == "client" or model.database_up
        drawn = wanted and may_come and role
        event = self._event(role, number, failing=failing) if drawn else None
        if event is None:
            return step
        sides = event.sides if action.side is None else (action.side,)
        moment = Moment(
            event=event.event,
            nth=NTHS[spread(number + 1) % len(NTHS)],
            side=sides[spread(number + 2) % len(sides)],
            component=component,
        )
        return step.pinned(moment)

    def _event(self, role: str, number: int, *, failing: bool) -> EventClass | None:
        weighted = [
            (event, BACKGROUND_WEIGHT if event.background else FOREGROUND_WEIGHT)
            for event in self.alphabet.of(role)
            if failing or not event.failing
        ]
        total = sum(weight for _, weight in weighted)
        target = spread(number + 3) % total if total else 0
        for event, weight in weighted:
            if target < weight:
                return event
            target -= weight
        return None


def _whose(step: Step, model: PlanModel, number: int) -> tuple[str, str]:
    """Return the role whose events a step can strike at, and the component if it names none."""
    requester = action_of(step).requester(step)
    if requester is not None:
        return requester.role, ""
    workers = sorted(model.workers_up - model.workers_paused)
    if not workers:
        return "", ""
    chosen = worker(workers[spread(number + 4) % len(workers)])
    return chosen.role, str(chosen)
