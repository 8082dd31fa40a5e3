"""Less processor and memory for a worker's container."""

from chaosfuzz.actions.action import WORKER, Healing, InjectedFault
from chaosfuzz.actions.context import ActionContext
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import Ability, Limitable
from chaosfuzz.domain.action import Parameter
from chaosfuzz.domain.component import worker
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.schedule import Step


class LimitCpu(InjectedFault[Limitable]):
    """Give a worker so many hundredths of a processor."""

    name = "limit_cpu"
    abilities = frozenset({Ability.LIMITS})
    parameters = (
        WORKER,
        Parameter(
            name="percent",
            low=1,
            high=100,
            default=10,
            meaning="of one processor",
            drawn=(2, 5, 20),
        ),
    )
    lasts = True
    kind = FaultKind.SLOWED
    protocol = Limitable

    def inject(self, system: Limitable, component: str, step: Step) -> bool:
        """Limit the processor."""
        return system.limit_cpu(component, step["percent"])


class LimitMemory(InjectedFault[Limitable]):
    """Leave a worker so many MB beyond what it uses now."""

    name = "limit_memory"
    abilities = frozenset({Ability.LIMITS})
    parameters = (
        WORKER,
        Parameter(
            name="mb", low=1, high=256, default=16, meaning="megabytes to spare", drawn=(1, 4, 32)
        ),
    )
    lasts = True
    kind = FaultKind.SLOWED
    protocol = Limitable

    def inject(self, system: Limitable, component: str, step: Step) -> bool:
        """Limit the memory."""
        return system.limit_memory(component, step["mb"])


class LiftLimits(Healing[Limitable]):
    """Lift the limits on a worker's processor and memory."""

    name = "lift_limits"
    abilities = frozenset({Ability.LIMITS})
    heals = (LimitCpu.name, LimitMemory.name)
    kind = FaultKind.SLOWED
    protocol = Limitable

    def undo(self, system: Limitable, component: str) -> bool:
        """Lift both limits."""
        return system.lift_limits(component)


class ExhaustMemory(InjectedFault[Limitable]):
    """Have the kernel kill a worker for lack of memory."""

    name = "exhaust_memory"
    abilities = frozenset({Ability.MEMORY})
    kind = FaultKind.KILLED
    protocol = Limitable

    def apply(self, step: Step, model: PlanModel) -> None:
        """Note that the worker was killed."""
        model.kill_worker(step["worker"])

    def inject(self, system: Limitable, component: str, step: Step) -> bool:
        """Have the kernel's OOM killer end the worker."""
        return system.exhaust_memory(component)

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Kill the worker; a pause of the worker ends with it."""
        performed = super().perform(step, context)
        context.end(FaultKind.PAUSED, worker(step["worker"]))
        return performed


limit_cpu = register(LimitCpu())
limit_memory = register(LimitMemory())
lift_limits = register(LiftLimits())
exhaust_memory = register(ExhaustMemory())
