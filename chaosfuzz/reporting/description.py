"""A failure as a person reads it."""

from collections.abc import Sequence

from chaosfuzz.domain.case import PROCESS, Case


def describe_schedule(case: Case) -> tuple[str, ...]:
    """Return the schedule as a numbered list, with how often it fails without each step."""
    without = {needed.step: needed.rate for needed in case.needed if needed.rate.attempts}
    workers = f"{case.schedule.workers} worker{'s' if case.schedule.workers != 1 else ''}"
    lines = [f"with {workers}:"]
    width = max((len(str(step)) for step in case.schedule.steps), default=0)
    for number, step in enumerate(case.schedule.steps, 1):
        note = f"  without it: fails {without[number]}" if number in without else ""
        lines.append(f"  {number}. {step!s:<{width if note else 0}}{note}")
    return tuple(lines)


def describe_case(case: Case, path: str, *, original_steps: int, exhausted: bool) -> Sequence[str]:
    """Return what broke, the minimal schedule, its rate, where it is and how to replay it."""
    steps, signature = len(case.schedule.steps), case.signature
    shrunk = f"shrunk from {original_steps} steps to {steps}"
    cost = f" in {case.found.executions_to_shrink} executions"
    if exhausted:
        cost += ", ended before it was done"
    return (
        f"{case.title}",
        f"  {_broken(case)}: {signature.invariant} ({signature.kind}, {signature.role})",
        *([f"  documented: {case.documented}"] if case.documented else []),
        *describe_schedule(case),
        f"fails {rates(case)}{_hint(case)}; {shrunk}{cost}",
        f"case    {path}",
        f"replay  {replay_command(path)}",
    )


def rates(case: Case) -> str:
    """Return how often a case failed, with what it ran on if that is not processes alone."""
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
