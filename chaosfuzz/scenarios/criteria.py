"""Compares metrics with the targets of the level, and grades a scenario."""

from collections.abc import Iterator, Sequence

from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.scenario import Criterion, Grade, Mark, Metrics
from chaosfuzz.domain.verdict import Failure
from chaosfuzz.scenarios.levels import RECOVERY_TARGET_S, RECOVERY_WARNING_S, Level
from chaosfuzz.scenarios.parts import Pace
from chaosfuzz.scenarios.phases import Program

# All chosen by hand. With fewer API calls a missed success rate is only a warning.
MIN_API_CALLS = 20
MEMORY_GROWTH = 1.5
MEMORY_SLACK_BYTES = 32 << 20
API_SUCCESS = "API success"
OVERLOADED = "overloaded at the deadline"


def criteria(
    program: Program, level: Level, pace: Pace, metrics: Metrics, recovery_bound_s: float
) -> tuple[Criterion, ...]:
    """Return a criterion for every measurement that has a target.

    A recovery may take `recovery_bound_s` seconds at any speed, because `pace` does not shorten
    leases.
    """
    return (
        *_completion(program, metrics),
        *_overload(program, metrics),
        *_api(level, metrics),
        *_recovery(pace, metrics, recovery_bound_s),
        *(_memory(metrics) if program.steady_memory else ()),
    )


def grade(
    program: Program,
    metrics: Metrics,
    held: Sequence[Criterion],
    failures: Sequence[Failure],
    undecided: Sequence[str],
    *,
    stalled: bool = False,
) -> tuple[Grade, str]:
    """Return the grade and the reason for it.

    The first that applies decides: a violated invariant (FAIL, at every level), a missed
    criterion (FAIL; UNKNOWN if it is a matter of time and the machine `stalled`), an overload
    that was none (NOT_OVERLOADED), an undecided question or nothing done (UNKNOWN), completion
    after the deadline (LATE).
    """
    if failures:
        broken = failures[0]
        return Grade.FAIL, f"{broken.signature.invariant}: {broken.message}"
    missed = [c for c in held if c.mark is Mark.MISSED]
    if missed:
        first = next((c for c in missed if not c.timed), missed[0])
        why = f"{first.name}: {first.measured}, expected {first.target}"
        if first.timed and stalled:
            return Grade.UNKNOWN, f"the machine stood still; {why}"
        return Grade.FAIL, why
    idle = next((c for c in held if c.name == OVERLOADED and c.mark is not Mark.MET), None)
    if idle is not None:
        return Grade.NOT_OVERLOADED, f"{idle.name}: {idle.measured}, expected {idle.target}"
    if undecided:
        return Grade.UNKNOWN, undecided[0]
    if not metrics.created and all(c.name == API_SUCCESS for c in held):
        return Grade.UNKNOWN, "no task was accepted and nothing else expected: this shows nothing"
    done = f"{metrics.completed} completed" if metrics.completed.of else "no tasks"
    late = metrics.completed.good - metrics.in_time.good
    if late and metrics.in_time.share < program.completion:
        return Grade.LATE, f"{done}, {late} after the deadline"
    reruns = f", {metrics.reruns} run again" if metrics.reruns else ""
    left = f", {metrics.in_time} by the deadline" if late else ""
    return Grade.PASS, f"{done}{left}{reruns}"


def _completion(program: Program, metrics: Metrics) -> Iterator[Criterion]:
    if not metrics.completed.of:
        return
    wanted = f"at least {100 * program.completion:.0f} %"
    in_time = metrics.in_time.share >= program.completion
    enough = metrics.completed.share >= program.completion
    if program.may_be_late:
        mark = Mark.MISSED if not enough else Mark.MET if in_time else Mark.WARNING
    else:
        mark = Mark.MET if in_time else Mark.MISSED
    measured = str(metrics.in_time)
    if metrics.completed != metrics.in_time:
        measured += f", later {metrics.completed}"
    if metrics.buried:
        measured += f", {metrics.buried} failed for good"
    if metrics.unfinished:
        measured += f", {metrics.unfinished} never done"
    name = "completed by the deadline"
    # All done in the end, only late.
    timed = metrics.completed.good == metrics.completed.of
    yield Criterion(name=name, measured=measured, target=wanted, mark=mark, timed=timed)


def _overload(program: Program, metrics: Metrics) -> Iterator[Criterion]:
    """Yield the criterion that the load overloads the system; missing it is only a warning."""
    if program.at_most < 1 and metrics.completed.of:
        met = metrics.in_time.share <= program.at_most
        yield Criterion(
            name=OVERLOADED,
            measured=f"{metrics.in_time} completed",
            target=f"at most {100 * program.at_most:.0f} %",
            mark=Mark.MET if met else Mark.WARNING,
        )


def _api(level: Level, metrics: Metrics) -> Iterator[Criterion]:
    if metrics.api.of:
        met = metrics.api.share >= level.api
        few = metrics.api.of < MIN_API_CALLS
        mark = Mark.MET if met else Mark.WARNING if few else Mark.MISSED
        target = f"at least {100 * level.api:.0f} %"
        yield Criterion(name=API_SUCCESS, measured=str(metrics.api), target=target, mark=mark)
    if metrics.outage.of:
        met = metrics.outage.good == metrics.outage.of
        yield Criterion(
            name="API fails gracefully in outages",
            measured=str(metrics.outage),
            target="all",
            mark=Mark.MET if met else Mark.MISSED,
        )


def _recovery(pace: Pace, metrics: Metrics, bound_s: float) -> Iterator[Criterion]:
    if not metrics.recoveries:
        return
    target_s = max(pace.seconds(RECOVERY_TARGET_S), bound_s)
    warning_s = max(pace.seconds(RECOVERY_WARNING_S), 1.5 * bound_s)
    cycles = len(metrics.recoveries)
    never = [r for r in metrics.recoveries if r.seconds is None]
    mean_s, worst_s = metrics.mean_recovery_s, metrics.worst_recovery_s
    if mean_s is None or worst_s is None:
        measured = f"{len(never)} of {cycles} never: {never[0].component} {never[0].what}"
        yield Criterion(
            name="recovery time", measured=measured, target="every one", mark=Mark.MISSED
        )
        return
    yield Criterion(
        name="mean recovery time",
        measured=f"{mean_s:.2f} s of {cycles}",
        timed=True,
        target=f"at most {target_s:.1f} s",
        mark=Mark.MET if mean_s <= target_s else Mark.MISSED,
    )
    yield Criterion(
        name="worst recovery time",
        measured=f"{worst_s:.2f} s of {cycles}",
        target=f"at most {warning_s:.1f} s",
        mark=Mark.MET if worst_s <= warning_s else Mark.WARNING,
    )
    yield from _degradation(metrics, bound_s)


def _degradation(metrics: Metrics, bound_s: float) -> Iterator[Criterion]:
    """Yield the criterion that the last recovery of a kind is not much slower than the first.

    Kinds with fewer than three recoveries have none.
    """
    by_kind: dict[str, list[float]] = {}
    for each in metrics.recoveries:
        by_kind.setdefault(each.what, []).append(each.seconds or 0.0)
    for what, seconds in by_kind.items():
        if len(seconds) < 3:
            continue
        first, last = seconds[0], seconds[-1]
        yield Criterion(
            name=f"no slower with time ({what})",
            timed=True,
            measured=f"{first:.2f} s, then {last:.2f} s after {len(seconds)}",
            target=f"at most twice and {bound_s / 2:.1f} s more",
            mark=Mark.MET if last <= 2 * first + bound_s / 2 else Mark.MISSED,
        )


def _memory(metrics: Metrics) -> Iterator[Criterion]:
    used = [s.memory_bytes for s in metrics.samples if s.memory_bytes]
    if not used:
        return
    first, most = used[0], max(used)
    steady = most <= MEMORY_GROWTH * first + MEMORY_SLACK_BYTES
    yield Criterion(
        name="memory",
        measured=f"{first >> 20} MB, at most {most >> 20} MB in {counted(len(used), 'sample')}",
        target="at most half as much again and 32 MB",
        mark=Mark.MET if steady else Mark.MISSED,
    )
