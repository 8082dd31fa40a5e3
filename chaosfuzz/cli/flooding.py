"""`chaosfuzz flood`: many tasks at once."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from chaosfuzz.api import Api, sign_up
from chaosfuzz.api.flood import DELAY_TASK, Flood, FloodPlan, FloodProgress, FloodSummary
from chaosfuzz.cli.help import Command, examples
from chaosfuzz.cli.interrupts import EXIT_INTERRUPTED, stopping
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import (
    DEFAULT_PORT,
    json_option,
    out_option,
    server_port_option,
    token_option,
    url_option,
    verbose_option,
)
from chaosfuzz.cli.progress import Progress, make_console
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.standing.destination import find_destination

FLOOD_SCHEMA = "chaosfuzz.flood/1"
PRIORITIES = ("low", "normal", "high", "critical")
BAR_WIDTH = 30


@click.command(
    cls=Command,
    epilog=examples(
        "chaosfuzz flood --count 100 --delay 2 --deadline 300 --tag storm",
        "chaosfuzz flood --type email --type webhook --failing 0.2 --json -",
    ),
)
@url_option
@server_port_option
@token_option
@click.option(
    "--count",
    type=click.IntRange(1, 100_000),
    default=20,
    show_default=True,
    help="Number of tasks.",
)
@click.option(
    "--type",
    "task_types",
    multiple=True,
    default=(DELAY_TASK,),
    show_default=True,
    metavar="TYPE",
    help="Type of the tasks (repeatable: the types take turns).",
)
@click.option(
    "--delay",
    type=click.FloatRange(0, 3600),
    default=1.0,
    show_default=True,
    help="Seconds that a delay_task takes.",
)
@click.option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True, max=86_400),
    help="Seconds by which all tasks must have ended; the server fails a later delay_task.",
)
@click.option(
    "--priority",
    type=click.Choice(PRIORITIES),
    help="Default: the server's.",
)
@click.option("--tag", help="metadata.tag of the tasks, by which watch and admin find them.")
@click.option(
    "--failing",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of the tasks that are made to fail, from 0 to 1.",
)
@click.option("--no-wait", is_flag=True, help="Create the tasks and do not wait for them.")
@click.option(
    "--stall",
    type=click.FloatRange(1, 86_400),
    help="Give up after so many seconds in which no task ended. Default: 30 plus --delay.",
)
@verbose_option
@out_option
@json_option
def flood(
    url: str | None,
    port: int | None,
    token: str | None,
    count: int,
    task_types: tuple[str, ...],
    delay: float,
    deadline: float | None,
    priority: str | None,
    tag: str | None,
    failing: float,
    no_wait: bool,
    stall: float | None,
    verbose: bool,
    out: Path,
    json_to: str | None,
) -> int:
    """Create many tasks and wait until all have ended.

    The tasks belong to a user that is registered for them, or to the user of --auth.

    Exit code: 0 every task ended as expected and by the deadline, 1 one did not, 3 no server
    answers.
    """
    plan = FloodPlan(
        count=count,
        task_types=task_types,
        delay_s=delay,
        deadline_s=deadline,
        priority=priority,
        tag=tag,
        failing=failing,
    )
    destination = find_destination(url=url, port=port, out=out, default_port=DEFAULT_PORT)
    console = make_console(to_stderr=json_to == "-")
    stop = StopSignal()
    with ExitStack() as closing:
        api = closing.enter_context(Api(destination.base_url, token=token))
        if token is None:
            api.token = sign_up(api).token
        else:
            api.user_id()
        interrupts = closing.enter_context(stopping(stop.set))
        progress = closing.enter_context(Progress(console))
        running = Flood(api, plan, stop, wait=not no_wait, stall_s=stall)
        for step in running.run():
            progress.update(_bar(step, count))
            if verbose:
                progress.say(_told(step))
    summary = running.summary()
    for line in _lines(summary):
        console.print(line)
    if json_to is not None:
        write_document({"schema": FLOOD_SCHEMA, "tag": tag, **asdict(summary)}, json_to)
    return EXIT_INTERRUPTED if interrupts.seen else 0 if summary.is_well else 1


def _bar(step: FloodProgress, count: int) -> str:
    if step.asked < count:
        filled, what = step.asked, f"created {step.created} of {count}"
    else:
        filled = step.counts.ended
        what = step.counts.line() if step.in_sight else "the server does not answer"
    width = round(BAR_WIDTH * filled / count)
    return f"[{'#' * width}{'.' * (BAR_WIDTH - width)}] {what}"


def _told(step: FloodProgress) -> str:
    seen = step.counts.line() if step.in_sight else "the server does not answer"
    return f"asked {step.asked}, created {step.created}: {seen}"


def _lines(summary: FloodSummary) -> list[str]:
    line = (
        f"{summary.created} of {summary.total} created, {summary.completed} completed, "
        f"{summary.failed} failed ({summary.to_fail} expected), {summary.cancelled} cancelled, "
        f"{summary.unfinished} unfinished; {summary.duration_s:.1f} s, {summary.ending}"
    )
    lines = [line]
    if summary.first_refusal:
        missing = f"{summary.refused} refused, {summary.unanswered} without an answer"
        lines.append(f"not created: {missing}; the first: {summary.first_refusal}")
    if summary.deadline_met is not None:
        lines.append(f"deadline {'met' if summary.deadline_met else 'missed'}")
    return lines
