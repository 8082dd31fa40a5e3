"""A user's own fault: a worker that stutters, as on a host that is short of memory."""

from chaosfuzz.actions import (
    WORKER,
    Ability,
    ActionContext,
    Parameter,
    Performed,
    Step,
    WorkerFault,
    register,
)
from chaosfuzz.domain.component import Component
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.target import Pausable


class StutterWorker(WorkerFault):
    """Freeze a worker for a moment, again and again."""

    name = "stutter_worker"
    weight = 2
    abilities = frozenset({Ability.PAUSES})
    parameters = (
        WORKER,
        Parameter(name="times", low=1, high=20, default=1, meaning="how often", drawn=(2, 5, 10)),
        Parameter(
            name="pause_ms",
            low=1,
            high=1000,
            default=50,
            meaning="each pause",
            drawn=(20, 200),
            costly=True,
        ),
    )

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """Freeze the worker and resume it; while it is frozen, the run is observed."""
        system = context.able(Pausable, step)
        for _ in range(step["times"]):
            context.begin(FaultKind.PAUSED, target)
            frozen = system.pause(str(target))
            context.watch(lambda: False, step["pause_ms"])
            system.resume(str(target))
            context.end(FaultKind.PAUSED, target)
            if not frozen:
                return Performed(applied=False, detail="the worker does not run")
        return Performed(applied=True)


register(StutterWorker())
