"""Requests of clients: create, cancel, retry and list tasks."""

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
from chaosfuzz.domain.component import ComponentRole
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
# The HTTP status of an answer that refuses a request.
REFUSED = 400
# After so many requests in a row without the answer they should have, the rest is not sent: each
# would wait for as long.
MOST_FAILURES = 2
# Steps operate on one of the last so many tasks, which are still in flight. Chosen by hand.
RECENT_TASKS = 4
# The values below are drawn, repeated by weight, and chosen by hand.
# From one task to more than two workers hold.
COUNTS = (1, 1, 2, 3, 4, 6)
# So many that tasks wait and the order of their starts shows.
BACKLOG_COUNTS = (4, 5, 6, 8)
# Less than a lease of 600 ms, and more.
DELAYS_MS = (0, 0, 150, 400, 900)
# No failure, one, all but the last of three attempts, and more than there are.
FAILURES = (0, 1, 2, 9)
FAILING_COUNT, FAILING_MS = 4, 40

_TASK = Parameter(
    name="task", low=1, high=999, default=1, meaning="task, in order of creation", always_shown=True
)
_USER = Parameter.choice("user", "who asks", USERS, drawn=(0, 1))


class CreateTasks(Action):
    """Create tasks over HTTP.

    A target without HTTP creates them in its own way.
    """

    name = "create_tasks"
    role = Role.LOAD
    weight = 7
    abilities = frozenset({Ability.TASKS})
    creates = "count"
    parameters = (
        Parameter(name="count", low=1, high=10, default=1, meaning="how many", always_shown=True),
        Parameter(
            name="duration_ms", low=0, high=5000, default=0, meaning="work of each", costly=True
        ),
        Parameter.choice("priority", "rank", PRIORITIES, default=1),
        Parameter(
            name="delay_ms", low=0, high=5000, default=0, meaning="scheduled so late", costly=True
        ),
        Parameter(
            name="failures", low=0, high=9, default=0, meaning="attempts that fail", costly=True
        ),
        Parameter.choice("strategy", "retry", RETRY_STRATEGIES, default=2),
        Parameter.choice("lost_reply", "first reply lost, same key sent again", ("no", "yes")),
        _USER,
        Parameter.choice("type", "type", TASK_TYPES),
    )

    def apply(self, step: Step, model: PlanModel) -> None:
        """Count the tasks that the step creates."""
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
        """Return a step whose tasks, if they fail, are few and short.

        Behind an open circuit breaker such tasks run one at a time.
        """
        if not step["failures"]:
            return self.plain(step)
        duration_ms = min(step["duration_ms"], FAILING_MS)
        return step.having(count=min(step.created, FAILING_COUNT), duration_ms=duration_ms)

    def plain(self, step: Step) -> Step:
        """Return the step without a retry strategy unless its tasks fail."""
        default = self.parameter("strategy").default
        return step if step["failures"] else step.having(strategy=default)

    def simpler(self, schedule: Schedule, index: int) -> Iterator[Schedule]:
        """Yield the schedule in which a step creates one task instead of several.

        Steps that named any of them name the one that remains.
        """
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
        service = context.able(TaskService, step, "give its profile a way to create ([create])")
        outcomes = [_create(step, service, context) for _ in range(step.created)]
        worst = max(outcomes, key=[Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN].index)
        return Performed(applied=True, outcome=worst)


class TaskOperation(Action):
    """A client's operation on a task that exists."""

    role = Role.LOAD
    abilities = frozenset({Ability.TASK_OPERATIONS})
    needs_up = (ComponentRole.SERVER,)
    parameters = (_TASK,)
    kind: OperationKind

    def possible(self, step: Step, model: PlanModel) -> bool:
        """Require a server, and a step before that creates the task."""
        return super().possible(step, model) and step["task"] <= model.tasks_created

    def choices(self, model: PlanModel) -> Choices:
        """Return the newest tasks."""
        last = model.tasks_created
        return {"task": range(last, max(0, last - RECENT_TASKS), -1)}

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Cancel or retry the task (by `kind`) as the user who created it; record the operation.

        If the task has several ids, the first is used. If no id is known, the step does not apply.
        Raises UsageError if the system has no such operations.
        """
        system, history, number = context.able(TaskOperations, step), context.history, step["task"]
        if number > len(history.creations) or not history.creations[number - 1].task_ids:
            return Performed(applied=False, outcome=Outcome.FAILED, detail="no such task")
        creation = history.creations[number - 1]
        sent_ns = time.monotonic_ns()
        call = system.cancel if self.kind is OperationKind.CANCEL else system.retry
        reply = call(creation.task_ids[0], creation.request.user)
        outcome, ended_ns = classify(reply), time.monotonic_ns()
        operation = Operation(
            kind=self.kind, number=number, outcome=outcome, sent_ns=sent_ns, ended_ns=ended_ns
        )
        history.add(operation)
        return Performed(applied=True, outcome=outcome, detail=reply.detail)


class CancelTask(TaskOperation):
    """Cancel a task."""

    name = "cancel_task"
    urgent_weight = 2
    kind = OperationKind.CANCEL

    def weight_after(self, before: Step | None, model: PlanModel) -> int:
        """Prefer to cancel right after tasks were created, while they are in flight."""
        return self.urgent_weight if before is not None and before.created else self.weight


class RetryTask(TaskOperation):
    """Retry a failed task."""

    name = "retry_task"
    kind = OperationKind.RETRY


class ApiReading(Action):
    """Requests to the API that change nothing."""

    role = Role.LOAD
    abilities = frozenset({Ability.INQUIRIES})
    needs_up = (ComponentRole.SERVER,)

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Send the requests, and return the outcome of the last."""
        remedy = "give its profile a way to list tasks ([tasks])"
        last = self.ask(step, context.able(Inquirable, step, remedy), context.history)
        return Performed(applied=True, outcome=last.outcome, detail=last.detail)

    def ask(self, step: Step, system: Inquirable, history: History) -> Inquiry:
        """Send the requests, record all of them, and return the last."""
        raise NotImplementedError


class ReadApi(ApiReading):
    """Read tasks, dead letters or statistics of one user over HTTP."""

    name = "read_api"
    parameters = (
        Parameter.choice("what", "of what", tuple(k.value for k in READABLE), drawn=(0, 1, 2)),
        _USER,
        Parameter(
            name="limit", low=1, high=100, default=2, meaning="at most so many", drawn=(1, 2, 50)
        ),
    )

    def ask(self, step: Step, system: Inquirable, history: History) -> Inquiry:
        """Send one request."""
        kind = READABLE[step["what"]]
        return inquire(kind, system, history, user=step["user"], limit=step["limit"])


class AskBadly(ApiReading):
    """Send requests over HTTP that break the API's rules and have to be refused."""

    name = "ask_badly"
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

    def ask(self, step: Step, system: Inquirable, history: History) -> Inquiry:
        """Send the requests, but stop after two in a row that were not refused."""
        failures = 0
        for _ in range(step["count"]):
            last = inquire(InquiryKind.NONSENSE, system, history)
            failures = 0 if last.outcome is Outcome.OK else failures + 1
            if failures == MOST_FAILURES:
                break
        return last


create_tasks = register(CreateTasks())
cancel_task = register(CancelTask())
retry_task = register(RetryTask())
read_api = register(ReadApi())
ask_badly = register(AskBadly())


def create(request: TaskRequest, system: TaskService, history: History, *, lose: bool) -> Outcome:
    """Create one task, record the request and what became of it, and return the outcome.

    With `lose`, the first reply is ignored and the same request is sent again. The outcome is
    FAILED only if every reply says so.
    """
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
    """Ask the API as a user for at most `limit` entries; record and return the answer.

    The outcome of NONSENSE is OK if the API refused it, UNKNOWN if it answered otherwise.
    """
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
    """Ask, as each user with dead letters, for all of them. Do nothing if the target cannot say.

    Needs an observation in the history.
    """
    if not isinstance(system, Inquirable):
        return
    rows = history.observations[-1].tasks or ()
    failed = {row.token for row in rows if row.status is TaskStatus.FAILED}
    users = (c.request.user for c in history.creations if c.request.token in failed)
    for user, number in sorted(Counter(users).items()):
        inquire(InquiryKind.DEAD_LETTERS, system, history, user=user, limit=number)


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
