"""Client work: creating, cancelling and retrying tasks, and asking for them."""

import time
import uuid
from collections import Counter

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
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import Inquirable, System, TaskOperations, TaskService
from chaosfuzz.domain.task import TaskRequest, TaskStatus

WORK_ACTIONS = ("create_tasks", "cancel_task", "retry_task", "read_api", "ask_badly")
READABLE = (InquiryKind.TASKS, InquiryKind.DEAD_LETTERS, InquiryKind.STATS)
REFUSED = 400
MOST_FAILURES = 2


def perform_work(step: Step, system: System, history: History) -> Performed:
    """Do a load step; its outcome is the worst of its operations."""
    if not isinstance(system, TaskService):
        message = "this target takes no tasks; give its profile a way to create them"
        raise UsageError(message)
    if step.action == "create_tasks":
        outcomes = [_create(step, system, system, history) for _ in range(step["count"])]
        worst = max(outcomes, key=[Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN].index)
        return Performed(applied=True, outcome=worst)
    if step.action == "read_api":
        return _read(READABLE[step["what"]], step, system, history)
    if step.action == "ask_badly":
        return _ask_badly(step["count"], system, history)
    kind = OperationKind.CANCEL if step.action == "cancel_task" else OperationKind.RETRY
    return _operate(kind, step["task"], system, history)


def create(request: TaskRequest, system: TaskService, history: History, *, lose: bool) -> Outcome:
    """Create one task; with `lose`, its first reply is lost and the same key is sent again."""
    history.asked.append(request)
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


def inquire(
    kind: InquiryKind, system: Inquirable, history: History, *, user: int = 0, limit: int = 1
) -> Inquiry:
    """Ask, and record what was answered."""
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
    history.inquiries.append(inquiry)
    return inquiry


def ask_for_dead_letters(system: System, history: History) -> None:
    """Ask as each user who has some for as many as they have."""
    if not isinstance(system, Inquirable):
        return
    rows = history.observations[-1].tasks or ()
    failed = {row.token for row in rows if row.status is TaskStatus.FAILED}
    users = (c.request.user for c in history.creations if c.request.token in failed)
    for user, number in sorted(Counter(users).items()):
        inquire(InquiryKind.DEAD_LETTERS, system, history, user=user, limit=number)


def _read(kind: InquiryKind, step: Step, system: System, history: History) -> Performed:
    found = inquire(kind, _inquirable(system), history, user=step["user"], limit=step["limit"])
    return Performed(applied=True, outcome=found.outcome, detail=found.detail)


def _ask_badly(count: int, system: System, history: History) -> Performed:
    inquirable = _inquirable(system)
    failures = 0
    for _ in range(count):
        found = inquire(InquiryKind.NONSENSE, inquirable, history)
        failures = 0 if found.outcome is Outcome.OK else failures + 1
        if failures == MOST_FAILURES:
            # The others would only wait for the same.
            break
    return Performed(applied=True, outcome=found.outcome, detail=found.detail)


def _inquirable(system: System) -> Inquirable:
    if not isinstance(system, Inquirable):
        message = "this target cannot be asked for its tasks; give its profile a way to"
        raise UsageError(message)
    return system


def _create(step: Step, service: TaskService, system: System, history: History) -> Outcome:
    request = TaskRequest(
        number=len(history.creations) + 1,
        token=uuid.uuid4().hex,
        duration_ms=step["duration_ms"],
        priority=step["priority"],
        delay_ms=step["delay_ms"],
        failures=step["failures"],
        strategy=step["strategy"],
        user=step["user"],
        task_type=step["type"],
        max_attempts=system.contract.max_attempts,
    )
    return create(request, service, history, lose=bool(step["lost_reply"]))


def _operate(kind: OperationKind, number: int, system: System, history: History) -> Performed:
    if not isinstance(system, TaskOperations):
        message = f"this target cannot {kind.value} tasks; remove the step or use one that can"
        raise UsageError(message)
    if number > len(history.creations) or not history.creations[number - 1].task_ids:
        return Performed(applied=False, outcome=Outcome.FAILED, detail="no such task")
    creation = history.creations[number - 1]
    sent_ns = time.monotonic_ns()
    call = system.cancel if kind is OperationKind.CANCEL else system.retry
    reply = call(creation.task_ids[0], creation.request.user)
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
