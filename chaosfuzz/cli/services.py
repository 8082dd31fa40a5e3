"""`chaosfuzz service`: kill, stop, start and restart services of `chaosfuzz up`."""

import threading
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import click

from chaosfuzz.cli.help import Group, examples
from chaosfuzz.cli.interrupts import EXIT_INTERRUPTED, stopping
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import json_option, out_option
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.standing import lifecycle as standing
from chaosfuzz.targets.postgres import StopMode
from chaosfuzz.targets.standing import Order, ServiceState, Status

SCHEMA = "chaosfuzz.services/1"
service_option = click.option(
    "--service",
    default="server",
    show_default=True,
    metavar="NAME",
    help="server, worker-1 (or another number) or all-workers.",
)
before_option = click.option(
    "--delay", type=click.FloatRange(0, 86_400), default=0, help="Wait so many seconds first."
)
between_option = click.option(
    "--delay",
    type=click.FloatRange(0, 86_400),
    default=0,
    help="Keep the service down for so many seconds.",
)


@click.group(
    cls=Group,
    epilog=examples(
        "chaosfuzz service restart --service server --delay 30",
        "chaosfuzz service kill --service worker-1",
        "chaosfuzz service db-stop",
    ),
)
def service() -> None:
    """Kill, stop or restart a service of `chaosfuzz up`."""


@service.command(epilog=examples("chaosfuzz service kill --service worker-1"))
@service_option
@before_option
@out_option
@json_option
def kill(service: str, delay: float, out: Path, json_to: str | None) -> int:
    """Kill a service with SIGKILL."""
    return give_after(delay, out, json_to, Order(verb="end", service=service))


@service.command(epilog=examples("chaosfuzz service stop --service worker-1"))
@service_option
@before_option
@out_option
@json_option
def stop(service: str, delay: float, out: Path, json_to: str | None) -> int:
    """Stop a service with SIGTERM, and with SIGKILL if it still runs after 10 s."""
    return give_after(delay, out, json_to, Order(verb="end", service=service, graceful=True))


@service.command(epilog=examples("chaosfuzz service start --service worker-1"))
@service_option
@before_option
@out_option
@json_option
def start(service: str, delay: float, out: Path, json_to: str | None) -> int:
    """Start a service that has ended, and wait until it is ready."""
    return give_after(delay, out, json_to, Order(verb="start", service=service))


@service.command(epilog=examples("chaosfuzz service restart --service server --delay 30"))
@service_option
@between_option
@click.option("--graceful", is_flag=True, help="End it with SIGTERM instead of SIGKILL.")
@out_option
@json_option
def restart(
    service: str,
    delay: float,
    graceful: bool,
    out: Path,
    json_to: str | None,
) -> int:
    """Kill a service with SIGKILL, and start it again after --delay.

    Ctrl-C ends the delay: the service is started at once.
    """
    stop = StopSignal()
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


@service.command("db-stop", epilog=examples("chaosfuzz service db-stop --mode kill"))
@before_option
@click.option(
    "--mode",
    type=click.Choice(get_args(StopMode)),
    default="fast",
    show_default=True,
    help="fast: in order; immediate: without a checkpoint; kill: with SIGKILL.",
)
@out_option
@json_option
def db_stop(delay: float, mode: StopMode, out: Path, json_to: str | None) -> int:
    """Stop PostgreSQL."""
    return give_after(delay, out, json_to, Order(verb="stop-db", mode=mode))


@service.command("db-start", epilog=examples("chaosfuzz service db-start"))
@before_option
@out_option
@json_option
def db_start(delay: float, out: Path, json_to: str | None) -> int:
    """Start PostgreSQL, and wait until it takes connections."""
    return give_after(delay, out, json_to, Order(verb="start-db"))


def give_after(delay: float, out: Path, json_to: str | None, order: Order) -> int:
    """Give an order to the supervisor after `delay` seconds, and show every service.

    Raises UsageError at once, before the delay, if no system is up.
    """
    standing.require_up(out)
    threading.Event().wait(delay)
    show(standing.order(out, order), json_to)
    return 0


def _victims(status: Status, service: str) -> tuple[str, ...]:
    if service == "all-workers" and status.running_workers():
        return status.running_workers()
    return (service,)


def show(status: Status, json_to: str | None) -> None:
    """Print every service, one a line, and write all as JSON to `json_to` if it is given."""
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
        parts.append(f"started {counted(state.starts, 'time')}")
    return "  ".join(parts)
