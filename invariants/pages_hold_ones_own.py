from collections.abc import Iterator

from chaosfuzz.domain import (
    Finding,
    Inquiry,
    InquiryKind,
    Kind,
    OperationKind,
    Outcome,
    TaskStatus,
    TaskView,
    View,
    invariant,
)


@invariant(kind=Kind.HIDDEN)
def pages_hold_ones_own(view: View) -> Iterator[Finding]:
    """A list that a user asks for holds all of the user's own tasks, up to its limit, no others."""
    for asked in view.history.inquiries:
        if asked.outcome is not Outcome.OK or asked.kind is InquiryKind.NONSENSE:
            continue
        there = _certainly_listed(view, asked)
        if asked.kind is InquiryKind.STATS:
            if asked.total is not None and asked.total < len(there):
                message = f"stats count {asked.total} tasks where there were {len(there)}"
                yield Finding(message=message, role="server")
            continue
        own = [task for task in there if task.request.user == asked.user]
        due = min(asked.limit, len(own))
        if len(asked.task_ids) < due:
            message = (
                f"a page of {asked.kind.value} for at most {asked.limit} held"
                f" {len(asked.task_ids)} where user {asked.user + 1} had {len(own)}"
            )
            yield Finding(message=message, tasks=tuple(t.number for t in own), role="server")
        others = [t for t in view.tasks if t.request.user != asked.user]
        shown = [t for t in others if set(t.creation.task_ids) & set(asked.task_ids)]
        for task in shown:
            message = f"user {asked.user + 1} was shown task {task.number} of another user"
            yield Finding(message=message, tasks=(task.number,), role="server")


def _certainly_listed(view: View, asked: Inquiry) -> list[TaskView]:
    """Return the tasks that the queue certainly held when the user asked.

    These are the tasks of the last readable observation before that. For a page of dead letters
    they are its failed tasks, without those that a client may have queued again since.
    """
    before = next(
        (
            seen
            for seen in reversed(view.history.observations)
            if seen.tasks is not None and seen.at_ns <= asked.sent_ns
        ),
        None,
    )
    if before is None:
        return []
    wanted = tuple(TaskStatus)
    if asked.kind is InquiryKind.DEAD_LETTERS:
        wanted = (TaskStatus.FAILED,)
    tokens = {row.token for row in before.tasks or () if row.status in wanted}
    there = [task for task in view.tasks if task.request.token in tokens]
    if asked.kind is InquiryKind.DEAD_LETTERS:
        return [task for task in there if not _may_be_queued_again(task, before.at_ns)]
    return there


def _may_be_queued_again(task: TaskView, seen_ns: int) -> bool:
    """Say whether a retry since `seen_ns`, or one without an answer, may have queued a task."""
    return any(
        o.kind is OperationKind.RETRY
        and (o.outcome is Outcome.UNKNOWN or (o.outcome is Outcome.OK and o.ended_ns >= seen_ns))
        for o in task.operations
    )
