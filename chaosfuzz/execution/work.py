"""Client work: creating, cancelling and retrying tasks."""

import time
import uuid

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import Creation, History, Operation, OperationKind
from chaosfuzz.domain.outcome import Outcome, Reception, Reply, classify
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import System, TaskService
from chaosfuzz.domain.task import TaskRequest

WORK_ACTIONS = ("create_tasks", "cancel_task", "retry_task")


def perform_work(step: Step, system: System, history: History) -> Performed:
    """Do a load step; its outcome is the worst of its operations."""
    if not isinstance(system, TaskService):
        message = "this target takes no tasks; give its profile a way to create them"
        raise UsageError(message)
    if step.action == "create_tasks":
        outcomes = [_create(step, system, history) for _ in range(step["count"])]
        worst = max(outcomes, key=[Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN].index)
        return Performed(applied=True, outcome=worst)
    kind = OperationKind.CANCEL if step.action == "cancel_task" else OperationKind.RETRY
    return _operate(kind, step["task"], system, history)


def create(request: TaskRequest, system: TaskService, history: History, *, lose: bool) -> Outcome:
    """Create one task; with `lose`, its first reply is lost and the same key is sent again."""
    sent_ns = time.monotonic_ns()
    due_ns = sent_ns + request.delay_ms * 10**6
    replies: list[Reply] = [system.create(request, due_ns)]
    if lose and replies[0].reception is not Reception.NEVER_SENT:
        replies.append(system.create(request, due_ns))
    outcome = classify(replies[-1])
    if outcome is Outcome.FAILED and any(classify(r) is not Outcome.FAILED for r in replies):
        outcome = Outcome.UNKNOWN
    history.creations.append(
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


def _create(step: Step, system: TaskService, history: History) -> Outcome:
    request = TaskRequest(
        number=len(history.creations) + 1,
        token=uuid.uuid4().hex,
        duration_ms=step["duration_ms"],
        priority=step["priority"],
        delay_ms=step["delay_ms"],
        failures=step["failures"],
        strategy=step["strategy"],
    )
    return create(request, system, history, lose=bool(step["lost_reply"]))


def _operate(kind: OperationKind, number: int, system: TaskService, history: History) -> Performed:
    if number > len(history.creations) or not history.creations[number - 1].task_ids:
        return Performed(applied=False, outcome=Outcome.FAILED, detail="no such task")
    task_id = history.creations[number - 1].task_ids[0]
    sent_ns = time.monotonic_ns()
    call = system.cancel if kind is OperationKind.CANCEL else system.retry
    reply = call(task_id)
    outcome = classify(reply)
    history.operations.append(
        Operation(
            kind=kind,
            number=number,
            outcome=outcome,
            sent_ns=sent_ns,
            ended_ns=time.monotonic_ns(),
        )
    )
    return Performed(applied=True, outcome=outcome, detail=reply.detail)
