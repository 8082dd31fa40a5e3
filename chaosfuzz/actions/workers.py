"""Workers that die, freeze, come and go."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from chaosfuzz.actions.action import WORKER, Action, WorkerFault
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
    """Kill a worker, or stop it gracefully, and record it; it is no longer paused then."""
    if not context.is_worker_up(target):
        return NOT_APPLICABLE
    kind = FaultKind.STOPPED if graceful else FaultKind.KILLED
    context.begin(kind, target)
    done = context.able(Killable, step).kill(str(target), graceful=graceful)
    context.end(kind, target)
    context.end(FaultKind.PAUSED, target)
    return Performed(applied=done)


class KillWorker(WorkerFault):
    """kill_worker: SIGKILL, or SIGTERM for a graceful end."""

    name = "kill_worker"
    summary = "end a worker process"
    role = Role.FAULT
    weight = 2
    abilities = frozenset({Ability.WORKERS})
    parameters = (
        WORKER,
        Parameter(
            name="signal",
            low=0,
            high=1,
            default=0,
            meaning="signal",
            labels=KILL_SIGNALS,
            drawn=(1, 0, 0, 0),
        ),
    )
    healing_turn = 9

    def apply(self, step: Step, model: PlanModel) -> None:
        """End the worker; its restart policy may bring a killed one back."""
        policy = model.restart_policies.get(step["worker"])
        model.end_worker(step["worker"], comes_back=bool(policy) and step["signal"] != TERM)

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield the schedule started without the worker."""
        yield from never_there(schedule, index)

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """End the worker."""
        return end_worker(target, context, step, graceful=step["signal"] == TERM)

    def heal(self, context: ActionContext) -> None:
        """Start the workers that a healthy system has."""
        if not isinstance(context.system, Killable):
            return
        running = context.system.worker_names()
        for slot in range(1, context.healthy_workers + 1):
            if str(worker(slot)) not in running:
                context.system.start(str(worker(slot)))


class RestartWorker(WorkerFault):
    """restart_worker: a deploy of one worker."""

    name = "restart_worker"
    summary = "end a worker gracefully and start it again, whatever else is down"
    role = Role.FAULT
    weight = 1
    urgent_weight = 3
    abilities = frozenset({Ability.WORKERS})

    def apply(self, step: Step, model: PlanModel) -> None:
        """End the worker; it is back at once."""
        model.end_worker(step["worker"], comes_back=True)

    def weight_after(self, before: Step | None, model: PlanModel) -> int:
        """Prefer a start in an outage of the database."""
        return self.weight if model.database_up else self.urgent_weight

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield the schedule with a kill."""
        yield killed_instead(schedule, index)

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """End the worker gracefully and start it."""
        ended = end_worker(target, context, step, graceful=True)
        if ended.applied:
            context.able(Killable, step).start(str(target))
        return ended


class StartWorker(Action):
    """start_worker: one more worker, or one that ended."""

    name = "start_worker"
    summary = "start a worker that is down"
    role = Role.HEAL
    weight = 1
    urgent_weight = 3
    abilities = frozenset({Ability.WORKERS})
    strikes = ComponentRole.WORKER
    parameters = (WORKER,)
    heals = (KillWorker.name,)

    def possible(self, step: Step, model: PlanModel) -> bool:
        """Nothing runs in the slot."""
        return step["worker"] not in model.workers_up

    def slots(self, model: PlanModel) -> Sequence[int]:
        """Name one of the first two free slots."""
        return model.free_slots()[:2]

    def apply(self, step: Step, model: PlanModel) -> None:
        """Start the worker."""
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


class ScaleWorkers(Action):
    """scale_workers: workers beyond the number end gracefully, missing ones start."""

    name = "scale_workers"
    summary = "run exactly so many workers"
    role = Role.FAULT
    weight = 1
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
        """Other workers run than these."""
        return set(range(1, step["workers"] + 1)) != model.workers_up

    def apply(self, step: Step, model: PlanModel) -> None:
        """End the workers beyond the number, start those that are missing."""
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


class PauseWorker(WorkerFault):
    """pause_worker: SIGSTOP."""

    name = "pause_worker"
    summary = "freeze a worker"
    role = Role.FAULT
    weight = 2
    urgent_weight = 4
    abilities = frozenset({Ability.PAUSES})
    healing_turn = 0

    def possible(self, step: Step, model: PlanModel) -> bool:
        """The worker runs and is not frozen."""
        return step["worker"] in model.workers_up - model.workers_paused

    def slots(self, model: PlanModel) -> Sequence[int]:
        """Name a worker that is not frozen."""
        return sorted(model.workers_up - model.workers_paused)

    def apply(self, step: Step, model: PlanModel) -> None:
        """Freeze the worker."""
        model.workers_paused.add(step["worker"])

    def weight_after(self, before: Step | None, model: PlanModel) -> int:
        """Prefer to freeze a worker that has just got work."""
        return self.urgent_weight if before is not None and before.created else self.weight

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield the schedule with a kill, and started without the worker."""
        yield killed_instead(schedule, index)
        yield from never_there(schedule, index)

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """Freeze the worker."""
        system = context.able(Pausable, step)
        context.begin(FaultKind.PAUSED, target)
        return context.settle(FaultKind.PAUSED, target, done=system.pause(str(target)))

    def heal(self, context: ActionContext) -> None:
        """Let every frozen worker go on."""
        if not isinstance(context.system, Pausable):
            return
        for name in context.system.worker_names():
            if context.system.resume(name):
                context.end(FaultKind.PAUSED, name)


class ResumeWorker(Action):
    """resume_worker: SIGCONT."""

    name = "resume_worker"
    summary = "let a frozen worker go on"
    role = Role.HEAL
    weight = 1
    urgent_weight = 5
    abilities = frozenset({Ability.PAUSES})
    strikes = ComponentRole.WORKER
    parameters = (WORKER,)
    heals = (PauseWorker.name,)

    def possible(self, step: Step, model: PlanModel) -> bool:
        """The worker is frozen."""
        return step["worker"] in model.workers_paused

    def slots(self, model: PlanModel) -> Sequence[int]:
        """Name a worker that is frozen."""
        return sorted(model.workers_paused)

    def apply(self, step: Step, model: PlanModel) -> None:
        """Let the worker go on."""
        model.workers_paused.discard(step["worker"])

    def weight_after(self, before: Step | None, model: PlanModel) -> int:
        """Prefer to resume once leases have run out."""
        waited = before is not None and before.action == "wait_lease"
        return self.urgent_weight if waited else self.weight

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Let the worker go on."""
        target = worker(step["worker"])
        done = context.able(Pausable, step).resume(str(target))
        context.end(FaultKind.PAUSED, target)
        return applied(done=done)


class SetRestartPolicy(Action):
    """set_restart_policy: as `restart:` of a compose file; a system begins without any."""

    name = "set_restart_policy"
    summary = "say whether a worker that ends is started again, killed ones included"
    role = Role.FAULT
    weight = 1
    abilities = frozenset({Ability.RESTART})
    strikes = ComponentRole.WORKER
    parameters = (
        WORKER,
        Parameter(
            name="policy",
            low=0,
            high=2,
            default=2,
            meaning="when",
            labels=RESTART_POLICIES,
            # `always` is the usual policy.
            drawn=(2, 2, 1, 0),
        ),
    )

    def possible(self, step: Step, model: PlanModel) -> bool:
        """The worker has another policy."""
        return model.restart_policies.get(step["worker"], 0) != step["policy"]

    def apply(self, step: Step, model: PlanModel) -> None:
        """Note the policy."""
        model.restart_policies[step["worker"]] = step["policy"]

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Say when the worker is started again."""
        system = context.able(Restartable, step)
        policy = RESTART_POLICIES[step["policy"]]
        return Performed(applied=system.set_restart_policy(str(worker(step["worker"])), policy))


def killed_instead(schedule: Schedule, index: int) -> Schedule:
    """Return the schedule in which a kill of the same worker replaces a step."""
    step = schedule.steps[index]
    return schedule.edited({index: kill_worker(worker=step["worker"]).pinned(step.at)})


def never_there(schedule: Schedule, index: int) -> Iterator[Schedule]:
    """Yield the schedule started without the worker that a step takes away for good.

    Nothing is yielded if the worker does not run from the start beside others, or if a later step
    names it.
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
