"""`chaosfuzz up` and `chaosfuzz down`: the reference system, left running."""

from pathlib import Path

import click

from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cli.interrupts import interruptible
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import DEFAULT_PORT, defects_option, json_option, out_option
from chaosfuzz.standing import lifecycle as standing
from chaosfuzz.targets.standing import MAX_SPEED, MAX_WORKERS, Plan, State

SCHEMA = "chaosfuzz.up/1"


@click.command(short_help="Leave the reference system running")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    envvar="PORT",
    help="The server's port on 127.0.0.1; 0 takes one that is free. PORT says it too.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, MAX_WORKERS),
    default=2,
    show_default=True,
    help="Workers started at first.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.1, MAX_SPEED),
    default=1.0,
    show_default=True,
    help="Divide all times: handlers, polls, leases, backoffs, the breaker's pause.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep the database here, and go on with the one that is there.",
)
@defects_option
@out_option
@json_option
def up(
    port: int,
    workers: int,
    speed: float,
    data: Path | None,
    defects: tuple[str, ...],
    out: Path,
    json_to: str | None,
) -> int:
    """Start PostgreSQL, server and workers, and leave them running until `chaosfuzz down`.

    Prints the URL, the admin's password (made anew each time) and the database's connection
    string. They are kept in OUT/up/state.json, which only you can read; the other commands find
    the system by it. A service that ends by itself is not started again: see `workers status`.
    `down` removes the database, unless --data keeps it; the password then stays the same as well.

    \b
    chaosfuzz up --workers 3
    chaosfuzz up --port 0 --speed 10 --defect no-lease-recovery
    chaosfuzz up --data ./data
    """  # noqa: D301 - click reads the escape
    chosen = tuple(dict.fromkeys(defects))
    Setup(defects=chosen).check()
    plan = Plan(
        out=out.resolve(),
        port=port or None,
        workers=workers,
        speed=speed,
        defects=chosen,
        data=data.resolve() if data is not None else None,
    )
    with interruptible():
        state = standing.bring_up(plan)
    say = json_to != "-"
    if say:
        click.echo(f"up at {state.base_url}")
        click.echo(f"admin     {state.admin_username} / {state.admin_password}")
        click.echo(f"database  {state.dsn}")
        click.echo(f"logs      {state.logs}")
        if state.data is not None:
            click.echo(f"data      {state.data}, kept after down")
        click.echo("end it with: chaosfuzz down")
    if json_to is not None:
        write_document(_document(state, workers), json_to)
    return 0


@click.command(short_help="End what `up` left running, and remove it")
@out_option
def down(out: Path) -> int:
    """End the system that `up` left running; logs go with it, the database unless in --data."""
    state = standing.take_down(out)
    if state is None:
        click.echo(f"nothing is up in {out}")
    else:
        left = f"all but {state.data}" if state.data is not None else "all of it"
        click.echo(f"{state.base_url} is down, {left} removed")
    return 0


def _document(state: State, workers: int) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "base_url": state.base_url,
        "dsn": state.dsn,
        "admin": {
            "username": state.admin_username,
            "email": state.admin_email,
            "password": state.admin_password,
        },
        "workers": workers,
        "speed": state.speed,
        "defects": list(state.defects),
        "pid": state.pid,
        "logs": str(state.logs),
        "data": str(state.data) if state.data is not None else None,
    }
