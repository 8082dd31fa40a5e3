"""A failure as a person reads it."""

from collections.abc import Sequence

from chaosfuzz.domain.case import PROCESS, Case
from chaosfuzz.domain.counted import counted


def describe_schedule(case: Case) -> tuple[str, ...]:
    """Return the schedule as a numbered list, with how often it fails without each step."""
    without = {needed.step: needed.rate for needed in case.needed if needed.rate.attempts}
    lines = [f"with {counted(case.schedule.workers, 'worker')}:"]
    width = max((len(str(step)) for step in case.schedule.steps), default=0)
    for number, step in enumerate(case.schedule.steps, 1):
        note = f"  without it: fails {without[number]}" if number in without else ""
        lines.append(f"  {number}. {step!s:<{width if note else 0}}{note}")
    return tuple(lines)


def describe_case(case: Case, path: str, *, original_steps: int, exhausted: bool) -> Sequence[str]:
    """Return lines: what broke, the schedule, its rate, its file and the command to replay it.

    `original_steps` is the length of the schedule as found. `exhausted` says that shrinking
    stopped before nothing more could be removed.
    """
    signature = case.signature
    return (
        f"{case.title}",
        f"  {_broken(case)}: {signature.invariant} ({signature.kind}, {signature.role})",
        *([f"  documented: {case.documented}"] if case.documented else []),
        *describe_schedule(case),
        f"fails {rates(case)}{_hint(case)}; {_shrunk(case, original_steps, exhausted)}",
        f"case    {path}",
        f"replay  {replay_command(path)}",
    )


def _shrunk(case: Case, original_steps: int, exhausted: bool) -> str:
    """Return how far the schedule was shrunk."""
    steps = counted(len(case.schedule.steps), "step")
    executions = case.found.executions_to_shrink
    if exhausted and not executions:
        return f"not shrunk: {steps}"
    early = ", stopped early" if exhausted else ""
    whole = f"{original_steps} to {steps}"
    return f"shrunk from {whole} in {counted(executions, 'execution')}{early}"


def rates(case: Case) -> str:
    """Return how often a case failed, with what it ran on if that is not processes alone."""
    if not case.reproduces.attempts:
        return "not measured"
    if case.on == PROCESS and case.confirmed is None:
        return str(case.reproduces)
    told = f"{case.reproduces} on {case.on}"
    return f"{told}, {case.confirmed.rate} on {case.confirmed.on}" if case.confirmed else told


def _broken(case: Case) -> str:
    return "no promise broken, a documented limit" if case.documented else "broken"


def replay_command(path: str) -> str:
    """Return the command that runs the case again."""
    return f"chaosfuzz replay {path}"


def _hint(case: Case) -> str:
    rate = case.reproduces
    if rate.violations == 0:
        return " when tried again: not confirmed, shown once"
    if rate.violations < 0.8 * rate.attempts:
        return " (flaky: it needs timing that the schedule does not pin)"
    return ""
