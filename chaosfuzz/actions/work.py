"""What clients do: create tasks, cancel and retry them, and ask for them."""

import time
import uuid
from collections import Counter
from collections.abc import Iterator

from chaosfuzz.actions.action import Action, Choices
from chaosfuzz.actions.context import ActionContext
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.action import PRIORITIES, RETRY_STRATEGIES, TASK_TYPES, USERS, Parameter, Role
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import (
    Creation,
    History,
    Inquiry,
    InquiryKind,
    Operation,
    OperationKind,
)
from chaosfuzz.domain.outcome import Outcome, Reception, Reply, classify
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.target import Inquirable, System, TaskOperations, TaskService
from chaosfuzz.domain.task import TaskRequest, TaskStatus

READABLE = (InquiryKind.TASKS, InquiryKind.DEAD_LETTERS, InquiryKind.STATS)
# The status of an answer that refuses a request.
REFUSED = 400
# Once two requests in a row got no answer, the others would only wait as long for the same.
MOST_FAILURES = 2
# Steps operate on one of the last so many tasks, as these are still in flight.
RECENT_TASKS = 4
# Drawn at random, repeated by weight (all chosen by hand): one task to more than two workers hold.
COUNTS = (1, 1, 2, 3, 4, 6)
# So many wait that their order shows.
BACKLOG_COUNTS = (4, 5, 6, 8)
# Less than a lease of 600 ms, and more.
DELAYS_MS = (0, 0, 150, 400, 900)
# None, one, the second last attempt of three, and more than there are.
FAILURES = (0, 1, 2, 9)
FAILING_COUNT, FAILING_MS = 4, 40

_TASK = Parameter(
    name="task",
    low=1,
    high=999,
    default=1,
    meaning="task, in order of creation",
    always_shown=True,
)
_USER = Parameter(
    name="user", low=0, high=1, default=0, meaning="who asks", labels=USERS, drawn=(0, 1)
)


class CreateTasks(Action):
    """create_tasks: POST tasks, or whatever creates one in the target."""

    name = "create_tasks"
    summary = "create tasks over HTTP"
    role = Role.LOAD
    weight = 7
    abilities = frozenset({Ability.TASKS})
    creates = "count"
    parameters = (
        Parameter(name="count", low=1, high=10, default=1, meaning="how many", always_shown=True),
        Parameter(
            name="duration_ms", low=0, high=5000, default=0, meaning="work of each", costly=True
        ),
        Parameter(name="priority", low=0, high=3, default=1, meaning="rank", labels=PRIORITIES),
        Parameter(
            name="delay_ms", low=0, high=5000, default=0, meaning="scheduled so late", costly=True
        ),
        Parameter(
            name="failures", low=0, high=9, default=0, meaning="attempts that fail", costly=True
        ),
        Parameter(
            name="strategy", low=0, high=3, default=2, meaning="retry", labels=RETRY_STRATEGIES
        ),
        Parameter(
            name="lost_reply",
            low=0,
            high=1,
            default=0,
            meaning="first reply lost, same key sent again",
            labels=("no", "yes"),
        ),
        _USER,
        Parameter(name="type", low=0, high=2, default=0, meaning="type", labels=TASK_TYPES),
    )

    def possible(self, step: Step, model: PlanModel) -> bool:
        """A creation always does something: without a server the client gets an error."""
        return True

    def apply(self, step: Step, model: PlanModel) -> None:
        """Count the tasks."""
        model.tasks_created += step.created

    def choices(self, model: PlanModel) -> Choices:
        """Draw tasks in the style of the schedule."""
        style = model.style
        return {
            "count": BACKLOG_COUNTS if style.ranked else COUNTS,
            "duration_ms": style.durations_ms,
            "priority": range(len(PRIORITIES)) if style.ranked else (1,),
            "delay_ms": DELAYS_MS if style.delayed else (0,),
            "failures": FAILURES if style.failing else (0,),
            "strategy": range(len(RETRY_STRATEGIES)),
            # One creation in six loses its reply.
            "lost_reply": (0, 0, 0, 0, 0, 1),
            "user": range(len(USERS)),
            "type": range(len(TASK_TYPES)) if style.failing else (0,),
        }

    def moderate(self, step: Step, model: PlanModel) -> Step:
        """Let few and short tasks fail: behind an open circuit breaker they do so one by one."""
        if not step["failures"]:
            return self.plain(step)
        return step.having(
            count=min(step.created, FAILING_COUNT),
            duration_ms=min(step["duration_ms"], FAILING_MS),
        )

    def plain(self, step: Step) -> Step:
        """Leave out how to retry a task that does not fail."""
        return (
            step if step["failures"] else step.having(strategy=self.parameter("strategy").default)
        )

    def simpler(self, schedule: Schedule, index: int) -> Iterator[Schedule]:
        """Yield the schedule with one task for those a step creates; steps keep naming a task."""
        count = schedule.steps[index].created
        if count == 1:
            return
        first = 1 + sum(step.created for step in schedule.steps[:index])
        named: dict[int, Step | None] = {
            later: step.having(task=first)
            for later, step in enumerate(schedule.steps)
            if first <= (step.get("task") or 0) < first + count
        }
        if named:
            fewer = schedule.edited(named)
            yield fewer.edited({index: schedule.steps[index].having(count=1)})

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Create the tasks one after another; the outcome is the worst of all."""
        service = _service(context.system)
        outcomes = [_create(step, service, context) for _ in range(step.created)]
        worst = max(outcomes, key=[Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN].index)
        return Performed(applied=True, outcome=worst)


class TaskOperation(Action):
    """A client's operation on a task that exists."""

    role = Role.LOAD
    abilities = frozenset({Ability.TASK_OPERATIONS})
    parameters = (_TASK,)
    kind: OperationKind

    def possible(self, step: Step, model: PlanModel) -> bool:
        """The task has been created, and there is a server to ask."""
        return model.server_up and step["task"] <= model.tasks_created

    def choices(self, model: PlanModel) -> Choices:
        """Name one of the newest tasks."""
        last = model.tasks_created
        return {"task": range(last, max(0, last - RECENT_TASKS), -1)}

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Ask as the user who created the task."""
        system, history, number = context.system, context.history, step["task"]
        if not isinstance(system, TaskOperations):
            message = f"this target cannot {self.kind.value} tasks"
            raise UsageError(cause=message, remedy="remove the step or use a target that can")
        if number > len(history.creations) or not history.creations[number - 1].task_ids:
            return Performed(applied=False, outcome=Outcome.FAILED, detail="no such task")
        creation = history.creations[number - 1]
        sent_ns = time.monotonic_ns()
        call = system.cancel if self.kind is OperationKind.CANCEL else system.retry
        reply = call(creation.task_ids[0], creation.request.user)
        outcome = classify(reply)
        history.add(
            Operation(
                kind=self.kind,
                number=number,
                outcome=outcome,
                sent_ns=sent_ns,
                ended_ns=time.monotonic_ns(),
            )
        )
        return Performed(applied=True, outcome=outcome, detail=reply.detail)


class CancelTask(TaskOperation):
    """cancel_task."""

    name = "cancel_task"
    summary = "cancel a task"
    weight = 1
    urgent_weight = 2
    kind = OperationKind.CANCEL

    def weight_after(self, before: Step | None, model: PlanModel) -> int:
        """Prefer tasks that were created just now, as they are still at work."""
        return self.urgent_weight if before is not None and before.created else self.weight


class RetryTask(TaskOperation):
    """retry_task."""

    name = "retry_task"
    summary = "retry a failed task"
    weight = 1
    kind = OperationKind.RETRY


class ReadApi(Action):
    """read_api: what one user is shown of the queue."""

    name = "read_api"
    summary = "ask over HTTP what there is"
    role = Role.LOAD
    weight = 1
    abilities = frozenset({Ability.INQUIRIES})
    parameters = (
        Parameter(
            name="what",
            low=0,
            high=2,
            default=0,
            meaning="of what",
            labels=tuple(kind.value for kind in READABLE),
            drawn=(0, 1, 2),
        ),
        _USER,
        Parameter(
            name="limit", low=1, high=100, default=2, meaning="at most so many", drawn=(1, 2, 50)
        ),
    )

    def possible(self, step: Step, model: PlanModel) -> bool:
        """There is a server to ask."""
        return model.server_up

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Ask, and record what was answered."""
        inquirable = _inquirable(context.system)
        found = inquire(
            READABLE[step["what"]],
            inquirable,
            context.history,
            user=step["user"],
            limit=step["limit"],
        )
        return Performed(applied=True, outcome=found.outcome, detail=found.detail)


class AskBadly(Action):
    """ask_badly: requests that break the API's rules."""

    name = "ask_badly"
    summary = "send requests over HTTP that have to be refused"
    role = Role.LOAD
    weight = 1
    abilities = frozenset({Ability.INQUIRIES})
    parameters = (
        Parameter(
            name="count",
            low=1,
            high=10,
            default=1,
            meaning="how many",
            drawn=(1, 10, 10),
            always_shown=True,
        ),
    )

    def possible(self, step: Step, model: PlanModel) -> bool:
        """There is a server to ask."""
        return model.server_up

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Send the requests until two in a row were not refused as they should be."""
        inquirable = _inquirable(context.system)
        failures = 0
        for _ in range(step["count"]):
            found = inquire(InquiryKind.NONSENSE, inquirable, context.history)
            failures = 0 if found.outcome is Outcome.OK else failures + 1
            if failures == MOST_FAILURES:
                break
        return Performed(applied=True, outcome=found.outcome, detail=found.detail)


create_tasks = register(CreateTasks())
cancel_task = register(CancelTask())
retry_task = register(RetryTask())
read_api = register(ReadApi())
ask_badly = register(AskBadly())


def create(request: TaskRequest, system: TaskService, history: History, *, lose: bool) -> Outcome:
    """Create one task; with `lose`, its first reply is lost and the same key is sent again."""
    history.add(request)
    sent_ns = time.monotonic_ns()
    due_ns = sent_ns + request.delay_ms * 10**6
    replies: list[Reply] = [system.create(request, due_ns)]
    if lose and replies[0].reception is not Reception.NEVER_SENT:
        replies.append(system.create(request, due_ns))
    outcome = classify(replies[-1])
    if outcome is Outcome.FAILED and any(classify(r) is not Outcome.FAILED for r in replies):
        outcome = Outcome.UNKNOWN
    history.add(
        Creation(
            request=request,
            outcome=outcome,
            task_ids=tuple(dict.fromkeys(r.task_id for r in replies if r.task_id)),
            sent_ns=sent_ns,
            ended_ns=time.monotonic_ns(),
            detail=replies[-1].detail,
        )
    )
    return outcome


def inquire(
    kind: InquiryKind, system: Inquirable, history: History, *, user: int = 0, limit: int = 1
) -> Inquiry:
    """Ask the API as a user for at most `limit` things, and record what was answered."""
    sent_ns = time.monotonic_ns()
    reply = system.inquire(kind, user, limit)
    outcome = classify(reply)
    if kind is InquiryKind.NONSENSE and reply.status is not None:
        outcome = Outcome.OK if reply.status == REFUSED else Outcome.UNKNOWN
    inquiry = Inquiry(
        kind=kind,
        user=user,
        limit=limit,
        outcome=outcome,
        sent_ns=sent_ns,
        ended_ns=time.monotonic_ns(),
        task_ids=reply.listed,
        total=reply.total,
        status=reply.status,
        detail=reply.detail,
    )
    history.add(inquiry)
    return inquiry


def ask_for_dead_letters(system: System, history: History) -> None:
    """Ask, as each user who has dead letters, for as many as the user has."""
    if not isinstance(system, Inquirable):
        return
    rows = history.observations[-1].tasks or ()
    failed = {row.token for row in rows if row.status is TaskStatus.FAILED}
    users = (c.request.user for c in history.creations if c.request.token in failed)
    for user, number in sorted(Counter(users).items()):
        inquire(InquiryKind.DEAD_LETTERS, system, history, user=user, limit=number)


def _service(system: System) -> TaskService:
    if not isinstance(system, TaskService):
        message = "this target takes no tasks"
        raise UsageError(cause=message, remedy="give its profile a way to create tasks ([create])")
    return system


def _inquirable(system: System) -> Inquirable:
    if not isinstance(system, Inquirable):
        message = "this target cannot be asked for its tasks"
        raise UsageError(cause=message, remedy="give its profile a way to list tasks ([tasks])")
    return system


def _create(step: Step, service: TaskService, context: ActionContext) -> Outcome:
    request = TaskRequest(
        number=len(context.history.creations) + 1,
        token=uuid.uuid4().hex,
        duration_ms=step["duration_ms"],
        priority=step["priority"],
        delay_ms=step["delay_ms"],
        failures=step["failures"],
        strategy=step["strategy"],
        user=step["user"],
        task_type=step["type"],
        max_attempts=context.system.contract.max_attempts,
    )
    return create(request, service, context.history, lose=bool(step["lost_reply"]))
