"""The story of a run: a line for each event, with its time and component."""

from collections.abc import Sequence

from chaosfuzz.domain.counted import counted, in_attempt
from chaosfuzz.domain.excuses import ExcusedRun
from chaosfuzz.domain.history import History
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure

# Chosen by hand.
MAX_LINES = 200


def story_of(result: RunResult) -> tuple[str, ...]:
    """Return the lines of `tell` for a run, or its runner's own lines if it kept no history."""
    if result.story or result.history is None:
        return result.story
    tasks = result.failure.tasks if result.failure is not None else ()
    return tell(result.history, result.failure, tasks, result.excused)


def tell(
    history: History,
    failure: Failure | None,
    tasks: Sequence[int],
    excused: Sequence[ExcusedRun] = (),
) -> tuple[str, ...]:
    """Return at most 200 lines in order of time, in ms from the start, then the failure's.

    They tell of all steps, faults and excused executions, but only of the lives of `tasks`.
    """
    lines = [*_steps(history), *_faults(history), *_inquiries(history)]
    lines += _tasks(history, frozenset(tasks))
    lines += [(run.at_ns, run.component, str(run)) for run in excused]
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
        answer = counted(len(asked.task_ids), "task") if asked.task_ids else asked.detail
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
    tokens: dict[str, str] = {}
    for creation in history.creations:
        number = creation.request.number
        if number in tasks:
            tokens[creation.request.token] = creation.request.name
            what = f"creation of {creation.request.name}: {creation.outcome.value}"
            lines.append((creation.ended_ns, "client", what))
    for operation in history.operations:
        if operation.number in tasks:
            what = f"{operation.kind.value} of task {operation.number}: {operation.outcome.value}"
            lines.append((operation.ended_ns, "client", what))
    for execution in history.executions:
        found = tokens.get(execution.token)
        if found is None:
            continue
        what = f"starts {found} ({in_attempt(execution.attempt, '', ', ')}pid {execution.pid})"
        lines.append((execution.start_ns, execution.component, what))
        if execution.end_ns is not None:
            what = f"ends {found} ({in_attempt(execution.attempt, '', ', ')}pid {execution.pid})"
            what += f": {execution.result}"
            lines.append((execution.end_ns, execution.component, what))
    before: dict[str, tuple[str, int]] = {}
    for observation in history.observations:
        for state in observation.tasks or ():
            mark = (state.status.value, state.attempts)
            if state.token in tokens and before.get(state.task_id) != mark:
                before[state.task_id] = mark
                what = f"{tokens[state.token]} is {mark[0]}{in_attempt(mark[1], ', ', '')}"
                lines.append((observation.at_ns, "queue", what))
    return lines
