"""`chaosfuzz bench`: measurements of chaosfuzz itself."""

import threading

import click

from chaosfuzz.bench.moments import NARROW, MomentBench, document
from chaosfuzz.bench.throughput import PHASES, Arm, Comparison, Sample, Throughput
from chaosfuzz.cli.fuzz import EXIT_INTERRUPTED
from chaosfuzz.cli.interrupts import stopping
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import default_lanes, json_option, lanes_option, on_option
from chaosfuzz.cli.progress import Progress, make_console


@click.group(short_help="Measure chaosfuzz on this machine")
def bench() -> None:
    """Measure chaosfuzz itself on this machine."""


@bench.command()
@click.option(
    "--schedules",
    type=click.IntRange(1, 10_000),
    default=30,
    show_default=True,
    help="Schedules run in each of both ways.",
)
@on_option
@json_option
def throughput(schedules: int, on: str, json_to: str | None) -> int:
    """Schedules a minute of one lane, kept warm against made anew for each schedule.

    Both ways alternate over the same schedules of 15 steps: 2 workers, with a server restart
    and a database stop. Waiting for the system under test counts apart.

    \b
    chaosfuzz bench throughput --schedules 10 --json -
    chaosfuzz bench throughput --on docker --schedules 10
    """  # noqa: D301 - click reads the escape
    console = make_console(to_stderr=json_to == "-")
    stop = threading.Event()
    measured = Throughput(schedules, stop, on)
    with stopping(stop.set), Progress(console) as progress:
        console.print(f"{schedules} schedules, each warm and cold")
        try:
            for count, sample in enumerate(measured.run(), start=1):
                progress.update(_line(count, 2 * schedules, sample))
        except KeyboardInterrupt:
            progress.say("interrupted; nothing is left running")
            return EXIT_INTERRUPTED
    comparison = measured.comparison()
    for line in _table(comparison):
        console.print(line)
    if json_to is not None:
        write_document(comparison.document(), json_to)
    return 0


@bench.command()
@click.option(
    "--schedules",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Schedules of each arm, for each defect.",
)
@click.option(
    "--defect",
    "defects",
    multiple=True,
    type=click.Choice(tuple(NARROW)),
    help="Measure this one (repeatable). Default: all that are narrow.",
)
@lanes_option
@json_option
def moments(
    schedules: int, defects: tuple[str, ...], lanes: int | None, json_to: str | None
) -> int:
    """How often narrow defects show: faults by the clock against faults at a request.

    Both arms do the same in turns, tasks of 50 to 200 ms and one fault of the kind that the
    defect needs, and draw only when: any millisecond of a task's life, or either side of any
    request.

    \b
    chaosfuzz bench moments --schedules 20
    """  # noqa: D301 - click reads the escape
    chosen = tuple(dict.fromkeys(defects)) or tuple(NARROW)
    console = make_console(to_stderr=json_to == "-")
    stop = threading.Event()
    measured = MomentBench(chosen, schedules, lanes or default_lanes(), stop)
    exit_code = 0
    with stopping(stop.set), Progress(console) as progress:
        console.print(f"{len(chosen)} defects, {schedules} schedules by clock and by moment each")
        try:
            for count, sample in enumerate(measured.run(), start=1):
                progress.update(f"{count}/{2 * schedules * len(chosen)}: {sample.defect}")
        except KeyboardInterrupt:
            progress.say("interrupted; nothing is left running; so far:")
            exit_code = EXIT_INTERRUPTED
    console.print(f"{'defect':40}{'by clock':>14}{'by moment':>14}{'ratio':>8}")
    for shown in measured.shown():
        clock = f"{shown.clock} of {shown.clock_schedules}"
        moment = f"{shown.moment} of {shown.moment_schedules}"
        ratio = f"{'' if shown.clock else '>'}{shown.ratio}" if shown.moment else "-"
        console.print(f"{shown.defect:40}{clock:>14}{moment:>14}{ratio:>8}")
    if json_to is not None:
        write_document(document(measured.shown()), json_to)
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
        f"warm is {comparison.ratio:.1f} times as fast, waits and settle excluded",
        *(_shortfall(arm) for arm in (warm, cold) if arm.held < arm.schedules),
    ]


def _shortfall(arm: Arm) -> str:
    missing = arm.schedules - arm.held
    return f"{missing} of {arm.schedules} {arm.name} schedules did not hold: a loaded machine?"
