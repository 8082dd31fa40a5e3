"""Less processor and memory for a worker's container."""

from chaosfuzz.actions.action import WORKER, Action, WorkerFault
from chaosfuzz.actions.context import ActionContext, applied
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import Ability, Limitable
from chaosfuzz.domain.action import Parameter, Role
from chaosfuzz.domain.component import Component, ComponentRole, worker
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.schedule import Step


class Limit(WorkerFault):
    """A limit on a worker that stays until it is lifted."""

    role = Role.FAULT
    weight = 1
    abilities = frozenset({Ability.LIMITS})
    lasts = True

    def limit(self, system: Limitable, name: str, step: Step) -> bool:
        """Set the limit; return False if the worker does not run."""
        raise NotImplementedError

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """Set the limit."""
        system = context.able(Limitable, step)
        context.begin(FaultKind.SLOWED, target)
        done = self.limit(system, str(target), step)
        return context.settle(FaultKind.SLOWED, target, done=done)


class LimitCpu(Limit):
    """limit_cpu."""

    name = "limit_cpu"
    summary = "give a worker so many hundredths of a processor"
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

    def limit(self, system: Limitable, name: str, step: Step) -> bool:
        """Limit the processor."""
        return system.limit_cpu(name, step["percent"])

    def heal(self, context: ActionContext) -> None:
        """Lift all limits of every worker."""
        if isinstance(context.system, Limitable):
            for name in context.system.worker_names():
                context.system.lift_limits(name)
            context.end_all(FaultKind.SLOWED)


class LimitMemory(Limit):
    """limit_memory."""

    name = "limit_memory"
    summary = "leave a worker so many MB beyond what it uses now"
    parameters = (
        WORKER,
        Parameter(
            name="mb",
            low=1,
            high=256,
            default=16,
            meaning="megabytes to spare",
            drawn=(1, 4, 32),
        ),
    )

    def limit(self, system: Limitable, name: str, step: Step) -> bool:
        """Limit the memory."""
        return system.limit_memory(name, step["mb"])


class LiftLimits(Action):
    """lift_limits."""

    name = "lift_limits"
    summary = "give it processor and memory again"
    role = Role.HEAL
    weight = 1
    abilities = frozenset({Ability.LIMITS})
    strikes = ComponentRole.WORKER
    parameters = (WORKER,)
    heals = (LimitCpu.name, LimitMemory.name)

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Give the worker what it had."""
        target = worker(step["worker"])
        done = context.able(Limitable, step).lift_limits(str(target))
        context.end(FaultKind.SLOWED, target)
        return applied(done=done)


class ExhaustMemory(WorkerFault):
    """exhaust_memory: the kernel's OOM killer ends the worker."""

    name = "exhaust_memory"
    summary = "have the kernel kill a worker for lack of memory"
    role = Role.FAULT
    weight = 1
    abilities = frozenset({Ability.MEMORY})

    def apply(self, step: Step, model: PlanModel) -> None:
        """End the worker; its restart policy may bring it back."""
        policy = model.restart_policies.get(step["worker"])
        model.end_worker(step["worker"], comes_back=bool(policy))

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """Have the kernel kill the worker."""
        system = context.able(Limitable, step)
        context.begin(FaultKind.KILLED, target)
        done = system.exhaust_memory(str(target))
        context.end(FaultKind.KILLED, target)
        context.end(FaultKind.PAUSED, target)
        return applied(done=done)


limit_cpu = register(LimitCpu())
limit_memory = register(LimitMemory())
lift_limits = register(LiftLimits())
exhaust_memory = register(ExhaustMemory())
