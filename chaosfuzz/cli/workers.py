"""`chaosfuzz workers`: how many of them `up` has running, and killing them at random."""

import threading
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from chaosfuzz.cli.interrupts import stopping
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import json_option, out_option, pick_seed, read_duration
from chaosfuzz.cli.services import EXIT_INTERRUPTED, give_after
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.standing import lifecycle as standing
from chaosfuzz.standing.worker_chaos import ChaosEvent, ChaosPlan, WorkerChaos
from chaosfuzz.targets.standing import MAX_WORKERS, Order

CHAOS_SCHEMA = "chaosfuzz.worker-chaos/1"


@click.group(short_help="Start, stop, scale and torment workers")
def workers() -> None:
    """Start, stop and scale the workers of `chaosfuzz up`, kill them at random, look at them."""


@workers.command("start")
@click.option("--count", type=click.IntRange(1, MAX_WORKERS), default=1, show_default=True)
@out_option
@json_option
def start_workers(count: int, out: Path, json_to: str | None) -> int:
    """Start more workers, in the lowest numbers that are free."""
    return give_after(0, out, json_to, Order(verb="add-workers", count=count))


@workers.command("stop")
@click.argument("name", default="all-workers")
@out_option
@json_option
def stop_workers(name: str, out: Path, json_to: str | None) -> int:
    """Stop a worker, or all of them, by SIGTERM."""
    if not name.removeprefix("all-").startswith("worker"):
        raise UsageError(
            cause=f"{name!r} is no worker", remedy="write worker-1, or leave it out for all of them"
        )
    return give_after(0, out, json_to, Order(verb="end", service=name, graceful=True))


@workers.command()
@click.argument("count", type=click.IntRange(0, MAX_WORKERS))
@out_option
@json_option
def scale(count: int, out: Path, json_to: str | None) -> int:
    """Start workers, or stop the last ones by SIGTERM, until COUNT run."""
    return give_after(0, out, json_to, Order(verb="scale", count=count))


@workers.command("status")
@out_option
@json_option
def status_of_workers(out: Path, json_to: str | None) -> int:
    """Show every service. `exited`: it ended by itself, and nobody starts it again but you."""
    return give_after(0, out, json_to, Order(verb="status"))


@workers.command()
@click.option("--duration", default="30s", show_default=True, metavar="TIME", help="How long.")
@click.option(
    "--interval",
    default="5-10",
    show_default=True,
    metavar="LOW-HIGH",
    help="Seconds from one kill to the next.",
)
@click.option("--down", "down_s", type=click.FloatRange(0, 3600), default=1.0, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), help="Same seed, same pauses and choices.")
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
    """Kill a worker at random (SIGKILL), start it again after --down seconds, and so on."""
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
    stop = threading.Event()
    events: list[ChaosEvent] = []
    with stopping(stop.set) as interrupts:
        for event in WorkerChaos(plan, partial(standing.order, out), stop).run():
            events.append(event)
            say(f"{event.at_s:8.1f} s  {event.worker} {event.what} (pid {event.pid})")
    kills = sum(event.what == "killed" for event in events)
    say(f"{kills} kills, {len(events) - kills} starts")
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
            cause=f"--interval {text!r} is no range of seconds", remedy="write for example 5-10"
        )
    return found
