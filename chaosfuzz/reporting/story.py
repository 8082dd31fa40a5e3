"""The story of a run: who did what when."""

from collections.abc import Sequence

from chaosfuzz.domain.history import History
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure

MAX_LINES = 200


def story_of(result: RunResult) -> tuple[str, ...]:
    """Tell what happened in a run, or what its runner told of it."""
    if result.history is None:
        return result.story
    tasks = result.failure.tasks if result.failure is not None else ()
    return tell(result.history, result.failure, tasks)


def tell(history: History, failure: Failure | None, tasks: Sequence[int]) -> tuple[str, ...]:
    """Return lines in order of time, in ms from the start; of tasks, only those concerned."""
    lines = [*_steps(history), *_faults(history), *_inquiries(history)]
    lines += _tasks(history, frozenset(tasks))
    if history.healed_ns is not None:
        lines.append((history.healed_ns, "chaosfuzz", "every fault is healed"))
    lines.sort(key=lambda line: line[0])
    told = [
        f"{(at_ns - history.began_ns) / 1e6:9.1f} ms  {who:10} {what}" for at_ns, who, what in lines
    ]
    if len(told) > MAX_LINES:
        told = [*told[:MAX_LINES], f"... and {len(told) - MAX_LINES} more lines"]
    if failure is not None:
        told.append(f"{'':>12}  => {failure.signature.kind}: {failure.message}")
    return tuple(told)


def _steps(history: History) -> list[tuple[int, str, str]]:
    lines = []
    for record in history.steps:
        note = "" if record.applied else f" ({record.detail or 'does not apply'})"
        outcome = "" if record.outcome.value == "ok" else f" -> {record.outcome.value}"
        what = f"step {record.index + 1}: {record.step}{outcome}{note}"
        lines.append((record.began_ns, "chaosfuzz", what))
    return lines


def _inquiries(history: History) -> list[tuple[int, str, str]]:
    lines = []
    for asked in history.inquiries:
        answer = f"{len(asked.task_ids)} tasks" if asked.task_ids else asked.detail
        what = (
            f"asks for {asked.kind.value}, at most {asked.limit}: {asked.outcome.value}, {answer}"
        )
        lines.append((asked.ended_ns, f"user {asked.user + 1}", what))
    return lines


def _faults(history: History) -> list[tuple[int, str, str]]:
    lines = [(fault.began_ns, fault.component, f"{fault.kind.value}") for fault in history.faults]
    lines += [
        (fault.ended_ns, fault.component, f"{fault.kind.value} is over")
        for fault in history.faults
        if fault.ended_ns is not None
    ]
    lines += [
        (
            gone.at_ns,
            gone.component,
            f"exit code {gone.exit_code}" + (f": {gone.detail}" if gone.detail else ""),
        )
        for gone in history.exits
        if not gone.ordered or gone.detail
    ]
    return lines


def _tasks(history: History, tasks: frozenset[int]) -> list[tuple[int, str, str]]:
    lines: list[tuple[int, str, str]] = []
    tokens: dict[str, int] = {}
    for creation in history.creations:
        number = creation.request.number
        if number in tasks:
            tokens[creation.request.token] = number
            what = f"creation of task {number}: {creation.outcome.value}"
            lines.append((creation.ended_ns, "client", what))
    for operation in history.operations:
        if operation.number in tasks:
            what = f"{operation.kind.value} of task {operation.number}: {operation.outcome.value}"
            lines.append((operation.ended_ns, "client", what))
    for execution in history.executions:
        found = tokens.get(execution.token)
        if found is None:
            continue
        what = f"starts task {found} (attempt {execution.attempt}, pid {execution.pid})"
        lines.append((execution.start_ns, execution.component, what))
        if execution.end_ns is not None:
            what = f"ends task {found} (attempt {execution.attempt}): {execution.result}"
            lines.append((execution.end_ns, execution.component, what))
    before: dict[str, tuple[str, int]] = {}
    for observation in history.observations:
        for state in observation.tasks or ():
            mark = (state.status.value, state.attempts)
            if state.token in tokens and before.get(state.task_id) != mark:
                before[state.task_id] = mark
                what = f"task {tokens[state.token]} is {mark[0]}, attempt {mark[1]}"
                lines.append((observation.at_ns, "queue", what))
    return lines
