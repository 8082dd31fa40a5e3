"""`chaosfuzz bench`: how fast chaosfuzz runs schedules, and how often it finds defects."""

import click

from chaosfuzz.bench.moments import NARROW, MomentBench, document
from chaosfuzz.bench.throughput import PHASES, Arm, Comparison, Sample, Throughput
from chaosfuzz.cli.help import Group, examples
from chaosfuzz.cli.interrupts import EXIT_INTERRUPTED, stopping
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import default_lanes, json_option, lanes_option, on_option
from chaosfuzz.cli.progress import Progress, make_console
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.stop import Stopped, StopSignal


@click.group(cls=Group, epilog=examples("chaosfuzz bench throughput --schedules 10"))
def bench() -> None:
    """Measure chaosfuzz itself on this machine."""


@bench.command(
    epilog=examples(
        "chaosfuzz bench throughput --schedules 10 --json -",
        "chaosfuzz bench throughput --on docker --schedules 10",
    )
)
@click.option(
    "--schedules",
    type=click.IntRange(1, 10_000),
    default=30,
    show_default=True,
    help="Schedules to run warm, and as many cold.",
)
@on_option
@json_option
def throughput(schedules: int, on: str, json_to: str | None) -> int:
    """Measure how many schedules a minute one lane runs, warm and cold.

    A warm lane is kept from schedule to schedule; a cold one is made anew for each. Both run the
    same schedules in turns: 15 steps, 2 workers, one server restart, one database stop. The time
    that a schedule waits for the system under test is reported apart.
    """
    console = make_console(to_stderr=json_to == "-")
    stop = StopSignal()
    measured = Throughput(schedules, stop, on)
    with stopping(stop.set), Progress(console) as progress:
        console.print(f"{counted(schedules, 'schedule')}, each warm and cold")
        try:
            for count, sample in enumerate(measured.run(), start=1):
                progress.update(_line(count, 2 * schedules, sample))
        except Stopped:
            progress.say("interrupted; no process is left running")
            return EXIT_INTERRUPTED
    comparison = measured.comparison()
    for line in _table(comparison):
        console.print(line)
    if json_to is not None:
        write_document(comparison.document(), json_to)
    return 0


@bench.command(epilog=examples("chaosfuzz bench moments --schedules 20"))
@click.option(
    "--schedules",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Schedules to run in each arm, for each defect.",
)
@click.option(
    "--defect",
    "defects",
    multiple=True,
    type=click.Choice(tuple(NARROW)),
    help="Measure this defect (repeatable). Default: all narrow ones.",
)
@lanes_option
@json_option
def moments(
    schedules: int, defects: tuple[str, ...], lanes: int | None, json_to: str | None
) -> int:
    """Measure how often narrow defects show: faults at a time against faults at a request.

    A narrow defect hurts only in a window of about a millisecond. Both arms run tasks of 50 to
    200 ms, each with one fault of the kind that the defect needs. One arm draws a millisecond of
    the task's life for it, the other a database request and the side before or after it.
    """
    chosen = tuple(dict.fromkeys(defects)) or tuple(NARROW)
    console = make_console(to_stderr=json_to == "-")
    stop = StopSignal()
    measured = MomentBench(chosen, schedules, lanes or default_lanes(), stop)
    exit_code = 0
    with stopping(stop.set), Progress(console) as progress:
        runs = f"{counted(schedules, 'schedule')} by clock and as many by moment"
        console.print(f"{counted(len(chosen), 'defect')}, {runs} for each")
        try:
            for count, sample in enumerate(measured.run(), start=1):
                progress.update(f"{count}/{2 * schedules * len(chosen)}: {sample.defect}")
        except Stopped:
            progress.say("interrupted; no process is left running; the figures so far:")
            exit_code = EXIT_INTERRUPTED
    console.print(f"{'defect':40}{'by clock':>14}{'by moment':>14}{'ratio':>8}")
    for shown in measured.counts():
        clock = f"{shown.clock} of {shown.clock_schedules}"
        moment = f"{shown.moment} of {shown.moment_schedules}"
        ratio = f"{'' if shown.clock else '>'}{shown.ratio}" if shown.moment else "-"
        console.print(f"{shown.defect:40}{clock:>14}{moment:>14}{ratio:>8}")
    if json_to is not None:
        write_document(document(measured.counts()), json_to)
    return exit_code


def _line(count: int, total: int, sample: Sample) -> str:
    return f"{count}/{total}: schedule {sample.number} {sample.arm} {sample.busy_s * 1000:.0f} ms"


def _table(comparison: Comparison) -> list[str]:
    warm, cold = comparison.warm, comparison.cold
    rows = [
        ("schedules a minute", warm.per_minute, cold.per_minute),
        ("with waits and settle", warm.per_minute_with_waits, cold.per_minute_with_waits),
        ("start of the lane, once, ms", warm.lane_start_s * 1000, cold.lane_start_s * 1000),
    ]
    parts = [(name, warm.mean_s[name] * 1000, cold.mean_s[name] * 1000) for name in PHASES]
    return [
        f"{'mean of a schedule, ms':28}{'warm':>10}{'cold':>10}",
        *(f"{name:28}{first:10.1f}{second:10.1f}" for name, first, second in (*parts, *rows)),
        f"a warm lane is {comparison.ratio:.1f} times as fast, waits and settling excluded",
        *(_shortfall(arm) for arm in (warm, cold) if arm.held < arm.schedules),
    ]


def _shortfall(arm: Arm) -> str:
    missing = arm.schedules - arm.held
    return (
        f"{missing} of {arm.schedules} {arm.name} schedules did not hold, perhaps because the "
        "machine is loaded; measure again with less running on it"
    )
