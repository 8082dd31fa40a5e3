"""Ends, starts and pauses of workers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from chaosfuzz.actions.action import WORKER, Action, Healing, InjectedFault, WorkerFault
from chaosfuzz.actions.context import NOT_APPLICABLE, ActionContext, applied
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import RESTART_POLICIES, Ability, Restartable
from chaosfuzz.domain.action import MAX_WORKERS, Parameter, Role
from chaosfuzz.domain.component import Component, ComponentRole, worker
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.target import Killable, Pausable

KILL_SIGNALS = ("kill", "term")
TERM = KILL_SIGNALS.index("term")


def end_worker(
    target: Component, context: ActionContext, step: Step, *, graceful: bool
) -> Performed:
    """Kill a worker, or stop it gracefully, and record that; a pause of it ends too.

    Does nothing if the worker does not run. Raises UsageError if the target cannot kill.
    """
    if not context.is_worker_up(target):
        return NOT_APPLICABLE
    kind = FaultKind.STOPPED if graceful else FaultKind.KILLED
    context.begin(kind, target)
    done = context.able(Killable, step).kill(str(target), graceful=graceful)
    context.end(kind, target)
    context.end(FaultKind.PAUSED, target)
    return Performed(applied=done)


class KillWorker(WorkerFault):
    """End a worker process.

    The signal `term` ends it gracefully.
    """

    name = "kill_worker"
    weight = 2
    abilities = frozenset({Ability.WORKERS})
    # One end in four is graceful. Chosen by hand.
    parameters = (WORKER, Parameter.choice("signal", "signal", KILL_SIGNALS, drawn=(1, 0, 0, 0)))

    def apply(self, step: Step, model: PlanModel) -> None:
        """Note the end; the restart policy may bring a killed worker back, not a stopped one."""
        end = model.end_worker if step["signal"] == TERM else model.kill_worker
        end(step["worker"])

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield the schedule started without the worker."""
        yield from never_there(schedule, index)

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """End the worker."""
        return end_worker(target, context, step, graceful=step["signal"] == TERM)


class RestartWorker(WorkerFault):
    """End a worker gracefully and start it again, whatever else is down.

    As a deploy does.
    """

    name = "restart_worker"
    urgent_weight = 3
    abilities = frozenset({Ability.WORKERS})

    def apply(self, step: Step, model: PlanModel) -> None:
        """Note the end of the worker, which is back at once."""
        model.end_worker(step["worker"], comes_back=True)

    def weight_after(self, before: Step | None, model: PlanModel) -> int:
        """Prefer a restart in an outage of the database."""
        return self.weight if model.database_up else self.urgent_weight

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield the schedule with a kill of the worker in place of the step."""
        yield killed_instead(schedule, index)

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """End the worker gracefully and start it."""
        ended = end_worker(target, context, step, graceful=True)
        if ended.applied:
            context.able(Killable, step).start(str(target))
        return ended


class StartWorker(Action):
    """Start a worker that is down."""

    name = "start_worker"
    role = Role.HEAL
    urgent_weight = 3
    abilities = frozenset({Ability.WORKERS})
    strikes = ComponentRole.WORKER
    parameters = (WORKER,)
    heals = (KillWorker.name,)
    healing_turn = 9

    def possible(self, step: Step, model: PlanModel) -> bool:
        """Require a slot in which no worker runs."""
        return step["worker"] not in model.workers_up

    def slots(self, model: PlanModel) -> Sequence[int]:
        """Return the first two free slots."""
        return model.free_slots()[:2]

    def apply(self, step: Step, model: PlanModel) -> None:
        """Note that the worker runs."""
        model.workers_up.add(step["worker"])

    def weight_after(self, before: Step | None, model: PlanModel) -> int:
        """Prefer a start in an outage of the database."""
        return self.weight if model.database_up else self.urgent_weight

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield the schedule in which the worker runs from the start."""
        step = schedule.steps[index]
        if schedule.workers >= MAX_WORKERS:
            return
        added = schedule.workers + 1
        edits: dict[int, Step | None] = {index: None}
        for later in range(index + 1, len(schedule.steps)):
            other = schedule.steps[later]
            if other.get("worker") == step["worker"]:
                edits[later] = other.having(worker=added)
        yield replace(schedule.edited(edits), workers=added)

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Start the worker."""
        started = context.able(Killable, step).start(str(worker(step["worker"])))
        return Performed(applied=started)

    def heal(self, context: ActionContext) -> None:
        """Start the workers that a healthy system has and that do not run."""
        if not isinstance(context.system, Killable):
            return
        running = context.system.worker_names()
        for slot in range(1, context.healthy_workers + 1):
            if str(worker(slot)) not in running:
                context.system.start(str(worker(slot)))


class ScaleWorkers(Action):
    """Run exactly so many workers.

    Workers in higher slots end gracefully, and missing ones start.
    """

    name = "scale_workers"
    role = Role.FAULT
    abilities = frozenset({Ability.WORKERS})
    parameters = (
        Parameter(
            name="workers",
            low=0,
            high=MAX_WORKERS,
            default=1,
            meaning="how many",
            drawn=tuple(range(MAX_WORKERS + 1)),
            always_shown=True,
        ),
    )

    def possible(self, step: Step, model: PlanModel) -> bool:
        """Require that other workers run than these."""
        return set(range(1, step["workers"] + 1)) != model.workers_up

    def apply(self, step: Step, model: PlanModel) -> None:
        """Note that these workers run, and no others."""
        wanted = set(range(1, step["workers"] + 1))
        for slot in model.workers_up - wanted:
            model.end_worker(slot)
        model.workers_up = wanted

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield the schedule with a kill, and with the workers running from the start."""
        step = schedule.steps[index]
        beyond = [slot for slot in model.workers_up if slot > step["workers"]]
        if step["workers"] < MAX_WORKERS and step.at is None and beyond:
            yield schedule.edited({index: kill_worker(worker=min(beyond))})
        if step["workers"] > schedule.workers:
            yield replace(schedule.edited({index: None}), workers=step["workers"])

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """End and start workers, slot by slot."""
        system = context.able(Killable, step)
        changed = False
        running = set(context.system.worker_names())
        for slot in range(1, MAX_WORKERS + 1):
            target = worker(slot)
            if slot <= step["workers"] and str(target) not in running:
                changed |= system.start(str(target))
            elif slot > step["workers"] and str(target) in running:
                changed |= end_worker(target, context, step, graceful=True).applied
        return applied(done=changed)


class PauseWorker(InjectedFault[Pausable]):
    """Freeze a worker.

    As SIGSTOP does.
    """

    name = "pause_worker"
    weight = 2
    urgent_weight = 4
    abilities = frozenset({Ability.PAUSES})
    lasts = True
    kind = FaultKind.PAUSED
    protocol = Pausable

    def slots(self, model: PlanModel) -> Sequence[int]:
        """Return the workers that are not frozen."""
        return model.slots_without(self.name)

    def weight_after(self, before: Step | None, model: PlanModel) -> int:
        """Prefer to freeze a worker right after tasks were created."""
        return self.urgent_weight if before is not None and before.created else self.weight

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield the schedule with a kill, and started without the worker."""
        yield killed_instead(schedule, index)
        yield from never_there(schedule, index)

    def inject(self, system: Pausable, component: str, step: Step) -> bool:
        """Freeze the worker."""
        return system.pause(component)


class ResumeWorker(Healing[Pausable]):
    """Resume a frozen worker."""

    name = "resume_worker"
    urgent_weight = 5
    abilities = frozenset({Ability.PAUSES})
    heals = (PauseWorker.name,)
    healing_turn = 0
    kind = FaultKind.PAUSED
    protocol = Pausable

    def weight_after(self, before: Step | None, model: PlanModel) -> int:
        """Prefer to resume right after leases have expired."""
        waited = before is not None and before.action == "wait_lease"
        return self.urgent_weight if waited else self.weight

    def undo(self, system: Pausable, component: str) -> bool:
        """Resume the worker."""
        return system.resume(component)


class SetRestartPolicy(Action):
    """Choose when a worker that ends is started again, killed ones included.

    As `restart:` of a compose file does. A new system starts no worker again.
    """

    name = "set_restart_policy"
    role = Role.FAULT
    abilities = frozenset({Ability.RESTART})
    strikes = ComponentRole.WORKER
    parameters = (
        WORKER,
        # `always` is the usual policy.
        Parameter.choice("policy", "when", RESTART_POLICIES, default=2, drawn=(2, 2, 1, 0)),
    )

    def possible(self, step: Step, model: PlanModel) -> bool:
        """Require that the policy changes."""
        return model.restart_policies.get(step["worker"], 0) != step["policy"]

    def apply(self, step: Step, model: PlanModel) -> None:
        """Note the policy."""
        model.restart_policies[step["worker"]] = step["policy"]

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Set the policy of the worker."""
        system = context.able(Restartable, step)
        policy = RESTART_POLICIES[step["policy"]]
        return Performed(applied=system.set_restart_policy(str(worker(step["worker"])), policy))


def killed_instead(schedule: Schedule, index: int) -> Schedule:
    """Return the schedule with a kill of the same worker in place of a step."""
    step = schedule.steps[index]
    return schedule.edited({index: kill_worker(worker=step["worker"]).pinned(step.at)})


def never_there(schedule: Schedule, index: int) -> Iterator[Schedule]:
    """Yield the schedule started without the worker that a step ends or freezes.

    Workers in higher slots move down by one. Yields nothing if the worker does not run from the
    start beside others, or if a later step names it.
    """
    gone = schedule.steps[index]["worker"]
    named = any(later.get("worker") == gone for later in schedule.steps[index + 1 :])
    if named or not gone <= schedule.workers > 1:
        return
    edits: dict[int, Step | None] = {}
    for other, step in enumerate(schedule.steps):
        slot = step.get("worker") or 0
        if slot > gone:
            edits[other] = step.having(worker=slot - 1)
    yield replace(schedule.edited(edits | {index: None}), workers=schedule.workers - 1)


kill_worker = register(KillWorker())
start_worker = register(StartWorker())
pause_worker = register(PauseWorker())
resume_worker = register(ResumeWorker())
scale_workers = register(ScaleWorkers())
restart_worker = register(RestartWorker())
set_restart_policy = register(SetRestartPolicy())
