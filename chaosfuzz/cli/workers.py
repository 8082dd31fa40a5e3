"""`chaosfuzz workers`: start, stop, scale and kill the workers of `chaosfuzz up`."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from chaosfuzz.cli.help import Group, examples
from chaosfuzz.cli.interrupts import EXIT_INTERRUPTED, stopping
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import json_option, out_option, pick_seed, read_duration
from chaosfuzz.cli.services import give_after
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.standing import lifecycle as standing
from chaosfuzz.standing.worker_chaos import ChaosEvent, ChaosPlan, worker_chaos
from chaosfuzz.targets.standing import MAX_WORKERS, Order

CHAOS_SCHEMA = "chaosfuzz.worker-chaos/1"


@click.group(
    cls=Group,
    epilog=examples(
        "chaosfuzz workers scale 4", "chaosfuzz workers chaos --duration 60s --interval 5-10"
    ),
)
def workers() -> None:
    """Start, stop, scale and kill the workers of `chaosfuzz up`."""


@workers.command("start", epilog=examples("chaosfuzz workers start --count 2"))
@click.option(
    "--count",
    type=click.IntRange(1, MAX_WORKERS),
    default=1,
    show_default=True,
    help="Number of workers to start.",
)
@out_option
@json_option
def start_workers(count: int, out: Path, json_to: str | None) -> int:
    """Start more workers; they take the lowest free numbers."""
    return give_after(0, out, json_to, Order(verb="add-workers", count=count))


@workers.command("stop", epilog=examples("chaosfuzz workers stop worker-1"))
@click.argument("name", default="all-workers")
@out_option
@json_option
def stop_workers(name: str, out: Path, json_to: str | None) -> int:
    """Stop the worker NAME with SIGTERM; without NAME, all workers."""
    if not name.removeprefix("all-").startswith("worker"):
        raise UsageError(
            cause=f"{name!r} is not a worker",
            remedy="write for example worker-1, or no name for all workers",
        )
    return give_after(0, out, json_to, Order(verb="end", service=name, graceful=True))


@workers.command(epilog=examples("chaosfuzz workers scale 4"))
@click.argument("count", type=click.IntRange(0, MAX_WORKERS))
@out_option
@json_option
def scale(count: int, out: Path, json_to: str | None) -> int:
    """Start or stop workers until COUNT of them run.

    The workers with the highest numbers are stopped, with SIGTERM.
    """
    return give_after(0, out, json_to, Order(verb="scale", count=count))


@workers.command("status", epilog=examples("chaosfuzz workers status"))
@out_option
@json_option
def status_of_workers(out: Path, json_to: str | None) -> int:
    """Show every service and its state.

    `exited`: the service ended by itself. Start it with: chaosfuzz service start --service NAME
    """
    return give_after(0, out, json_to, Order(verb="status"))


@workers.command(
    epilog=examples(
        "chaosfuzz workers chaos --duration 60s --interval 5-10",
        "chaosfuzz workers chaos --seed 1 --down 0.5",
    )
)
@click.option(
    "--duration", default="30s", show_default=True, metavar="TIME", help="Kill for so long."
)
@click.option(
    "--interval",
    default="5-10",
    show_default=True,
    metavar="LOW-HIGH",
    help="Seconds from one kill to the next.",
)
@click.option(
    "--down",
    "down_s",
    type=click.FloatRange(0, 3600),
    default=1.0,
    show_default=True,
    help="Seconds from a kill to the start of the same worker.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Draw the same victims and pauses. Default: a random seed, printed.",
)
@out_option
@json_option
def chaos(
    duration: str,
    interval: str,
    down_s: float,
    seed: int | None,
    out: Path,
    json_to: str | None,
) -> int:
    """Kill workers at random with SIGKILL, and start each again."""
    low_s, high_s = _read_interval(interval)
    plan = ChaosPlan(
        seed=pick_seed(seed),
        duration_s=read_duration(duration, "--duration"),
        low_s=low_s,
        high_s=high_s,
        down_s=down_s,
    )
    say = partial(click.echo, err=json_to == "-")
    say(f"seed {plan.seed}")
    stop = StopSignal()
    events: list[ChaosEvent] = []
    with stopping(stop.set) as interrupts:
        for event in worker_chaos(plan, partial(standing.order, out), stop):
            events.append(event)
            say(f"{event.at_s:8.1f} s  {event.worker} {event.what} (pid {event.pid})")
    kills = sum(event.what == "killed" for event in events)
    say(f"{counted(kills, 'kill')}, {counted(len(events) - kills, 'start')}")
    if json_to is not None:
        content = {"schema": CHAOS_SCHEMA, **asdict(plan), "kills": kills}
        write_document({**content, "events": [asdict(event) for event in events]}, json_to)
    return EXIT_INTERRUPTED if interrupts.seen else 0


def _read_interval(text: str) -> tuple[float, float]:
    low, dash, high = text.partition("-")
    try:
        found = float(low), float(high if dash else low)
    except ValueError:
        found = (0.0, 0.0)
    if not 0 < found[0] <= found[1] <= 86_400:
        raise UsageError(
            cause=f"--interval {text!r} is not a range of seconds",
            remedy="write for example 5-10",
        )
    return found
