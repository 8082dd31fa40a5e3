"""The summary of scenarios as lines of text."""

from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.scenario import ScenarioResult, ScenarioRun


def rows(run: ScenarioRun) -> tuple[str, ...]:
    """Return total, passed, failed, rate and duration, then a line per scenario with why."""
    others = len(run.planned) - run.passed.good - run.failed
    undecided = f", {others} without a verdict" if others else ""
    head = (
        f"{counted(len(run.planned), 'scenario')} at level {run.level} ({run.level_name}), "
        f"{run.passed.good} passed, {run.failed} failed{undecided}: "
        f"{100 * run.passed.share:.0f} % passed, {run.duration_s:.1f} s"
    )
    width = max((len(name) for name in run.planned), default=0)
    return (head, *(row(result, width) for result in run.results))


def row(result: ScenarioResult, width: int = 0) -> str:
    """Return the line of one scenario."""
    took = f"{result.duration_s:6.1f} s"
    return f"{result.grade.value:7} {result.name:<{width}} {took}  {result.why}"
