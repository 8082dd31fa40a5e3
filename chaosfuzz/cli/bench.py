"""`chaosfuzz bench`: measurements of chaosfuzz itself."""

import threading
from typing import Annotated

import typer

from chaosfuzz.campaign.throughput import PHASES, Arm, Comparison, Sample, Throughput
from chaosfuzz.cli.fuzz import EXIT_INTERRUPTED
from chaosfuzz.cli.interrupts import stopping
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import Json
from chaosfuzz.cli.progress import Progress, make_console

app = typer.Typer(
    help="Measure chaosfuzz itself on this machine.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def bench() -> None:
    """Measure chaosfuzz itself on this machine."""


@app.command()
def throughput(
    schedules: Annotated[
        int, typer.Option(min=1, max=10_000, help="Schedules run in each of both ways.")
    ] = 30,
    json_: Json = None,
) -> int:
    """Schedules a minute of one lane, kept warm against made anew for each schedule.

    Both ways alternate over the same schedules of 15 steps: 2 workers, with a server restart
    and a database stop. Waiting for the system under test counts apart.

    \b
    chaosfuzz bench throughput --schedules 10 --json -
    """  # noqa: D301 - click reads the escape
    console = make_console(to_stderr=json_ == "-")
    stop = threading.Event()
    measured = Throughput(schedules, stop)
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
    if json_ is not None:
        write_document(comparison.document(), json_)
    return 0


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
