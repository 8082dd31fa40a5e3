"""The run as a Markdown report for people."""

from collections.abc import Iterator

from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.scenario import Metrics, ScenarioResult, ScenarioRun


def to_markdown(run: ScenarioRun) -> str:
    """Return the whole report."""
    return "\n".join(_lines(run)) + "\n"


def _lines(run: ScenarioRun) -> Iterator[str]:
    yield f"# Scenarios at level {run.level}: {run.level_name}"
    yield ""
    speed = f", {run.speed:g} times as fast as the guide" if run.speed != 1 else ""
    yield f"Verdict: **{run.verdict}**{speed}, seed {run.seed}, {run.duration_s:.1f} s."
    if run.defects:
        yield f"Planted defects: {', '.join(run.defects)}."
    if run.interrupted:
        yield f"Interrupted: {len(run.results)} of {len(run.planned)} scenarios finished."
    if run.error:
        yield f"The harness failed: {_cell(run.error)}"
    yield ""
    yield "| Total | Passed | Failed | Rate | Duration |"
    yield "|---|---|---|---|---|"
    yield (
        f"| {len(run.planned)} | {run.passed.good} | {run.failed} | {run.passed} "
        f"| {run.duration_s:.1f} s |"
    )
    yield ""
    yield "| Scenario | Result | Time | Why |"
    yield "|---|---|---|---|"
    for result in run.results:
        grade = result.grade.value.replace("*", "\\*")
        yield f"| {result.name} | {grade} | {result.duration_s:.1f} s | {_cell(result.why)} |"
    for result in run.results:
        yield from _section(result)


def _section(result: ScenarioResult) -> Iterator[str]:
    yield ""
    yield f"## {result.name}"
    if result.criteria:
        yield ""
        yield "| Criterion | Measured | Target | |"
        yield "|---|---|---|---|"
        for each in result.criteria:
            cells = (each.name, each.measured, each.target, each.mark.value)
            yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""
    yield from (f"- {line}" for line in _metrics(result.metrics))
    for failure in result.failures:
        yield f"- broken: {failure.signature}: {_cell(failure.message)}"
    yield from (f"- {_cell(note)}" for note in result.notes)


def _metrics(metrics: Metrics) -> Iterator[str]:
    yield (
        f"tasks: {metrics.created} created, {metrics.completed} of those that can succeed "
        f"completed, {metrics.buried} failed for good, {metrics.unfinished} unfinished, "
        f"{metrics.reruns} runs again"
    )
    if metrics.completed.good:
        yield (
            f"throughput: {metrics.throughput_per_s:g} tasks/s over {metrics.duration_s:.1f} s "
            f"({counted(metrics.completed.good, 'task')})"
        )
    yield from (f"phase {phase.tag}: {phase.completed} completed" for phase in metrics.phases)
    for each in metrics.recoveries:
        took = "never" if each.seconds is None else f"{each.seconds:.2f} s"
        yield f"recovery of {each.component}, {each.what}: {took}"
    if metrics.samples:
        memory = [sample.memory_bytes >> 20 for sample in metrics.samples]
        sessions = [sample.sessions for sample in metrics.samples]
        yield (
            f"memory {memory[0]} to {memory[-1]} MB, at most {max(memory)} MB; database "
            f"sessions {sessions[0]} to {sessions[-1]}, at most {max(sessions)} "
            f"({counted(len(metrics.samples), 'sample')})"
        )
    if metrics.transitions:
        turns = ", ".join(f"{t.task_type} {t.before} to {t.after}" for t in metrics.transitions)
        yield f"circuit breakers: {turns}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
