"""`chaosfuzz service`: faults by hand against what `up` left running."""

import threading
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import click

from chaosfuzz.cli.interrupts import stopping
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import json_option, out_option
from chaosfuzz.standing import lifecycle as standing
from chaosfuzz.targets.postgres import StopMode
from chaosfuzz.targets.standing import Order, ServiceState, Status

SCHEMA = "chaosfuzz.services/1"
EXIT_INTERRUPTED = 130
service_option = click.option(
    "--service",
    default="server",
    show_default=True,
    metavar="NAME",
    help="server, worker-N or all-workers.",
)
before_option = click.option(
    "--delay", type=click.FloatRange(0, 86_400), default=0, help="Seconds to wait before it."
)
between_option = click.option(
    "--delay", type=click.FloatRange(0, 86_400), default=0, help="Seconds it stays down."
)


@click.group(short_help="Kill, stop and restart what is up")
def service() -> None:
    """Kill, stop, start or restart the server, a worker or the database of `chaosfuzz up`.

    \b
    chaosfuzz service restart --service server --delay 30
    chaosfuzz service kill --service worker-1
    chaosfuzz service db-stop && chaosfuzz service db-start
    """  # noqa: D301 - click reads the escape


@service.command()
@service_option
@before_option
@out_option
@json_option
def kill(service: str, delay: float, out: Path, json_to: str | None) -> int:
    """End it by SIGKILL; nothing of it is asked or waited for."""
    return give_after(delay, out, json_to, Order(verb="end", service=service))


@service.command()
@service_option
@before_option
@out_option
@json_option
def stop(service: str, delay: float, out: Path, json_to: str | None) -> int:
    """End it by SIGTERM, and by SIGKILL after 10 s."""
    return give_after(delay, out, json_to, Order(verb="end", service=service, graceful=True))


@service.command()
@service_option
@before_option
@out_option
@json_option
def start(service: str, delay: float, out: Path, json_to: str | None) -> int:
    """Start what has ended; returns when it is ready."""
    return give_after(delay, out, json_to, Order(verb="start", service=service))


@service.command()
@service_option
@between_option
@click.option("--graceful", is_flag=True, help="End it by SIGTERM rather than SIGKILL.")
@out_option
@json_option
def restart(
    service: str,
    delay: float,
    graceful: bool,
    out: Path,
    json_to: str | None,
) -> int:
    """End it by SIGKILL and start it again. Ctrl-C meanwhile starts it at once."""
    stop = threading.Event()
    status = standing.order(out, Order(verb="status"))
    ended: list[str] = []
    with stopping(stop.set) as interrupts:
        try:
            for name in _victims(status, service):
                standing.order(out, Order(verb="end", service=name, graceful=graceful))
                ended.append(name)
            stop.wait(delay)
        finally:
            for name in ended:
                status = standing.order(out, Order(verb="start", service=name))
    show(status, json_to)
    return EXIT_INTERRUPTED if interrupts.seen else 0


@service.command("db-stop")
@before_option
@click.option(
    "--mode",
    type=click.Choice(get_args(StopMode)),
    default="fast",
    show_default=True,
    help="In order, without a checkpoint, or by SIGKILL.",
)
@out_option
@json_option
def db_stop(delay: float, mode: StopMode, out: Path, json_to: str | None) -> int:
    """Stop the database."""
    return give_after(delay, out, json_to, Order(verb="stop-db", mode=mode))


@service.command("db-start")
@before_option
@out_option
@json_option
def db_start(delay: float, out: Path, json_to: str | None) -> int:
    """Start the database; returns when it takes connections."""
    return give_after(delay, out, json_to, Order(verb="start-db"))


def give_after(delay: float, out: Path, json_to: str | None, order: Order) -> int:
    """Give an order after so many seconds and show how things are then."""
    # Looked at first, so that nobody waits for a system that is not there.
    standing.require_up(out)
    threading.Event().wait(delay)
    show(standing.order(out, order), json_to)
    return 0


def _victims(status: Status, service: str) -> tuple[str, ...]:
    if service == "all-workers" and status.running_workers():
        return status.running_workers()
    return (service,)


def show(status: Status, json_to: str | None) -> None:
    """Print every service, a line each, or write them as JSON."""
    if json_to != "-":
        for state in status.services:
            click.echo(_line(state))
    if json_to is not None:
        services = [asdict(state) for state in status.services]
        write_document({"schema": SCHEMA, "services": services}, json_to)


def _line(state: ServiceState) -> str:
    parts: list[str] = [f"{state.name:<10} {state.condition:<8}"]
    if state.pid is not None:
        parts.append(f"pid {state.pid}")
    if state.up_s is not None:
        parts.append(f"for {state.up_s:.1f} s")
    if state.exit_code is not None:
        parts.append(f"exit code {state.exit_code}")
    if state.starts > 1:
        parts.append(f"started {state.starts} times")
    return "  ".join(parts)
