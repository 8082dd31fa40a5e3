"""`chaosfuzz up` and `chaosfuzz down`: leave the bundled system running, and end it."""

from pathlib import Path

import click

from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cli.help import Command, examples
from chaosfuzz.cli.interrupts import interruptible
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import DEFAULT_PORT, defects_option, json_option, out_option
from chaosfuzz.standing import lifecycle as standing
from chaosfuzz.targets.standing import MAX_SPEED, MAX_WORKERS, Plan, State

SCHEMA = "chaosfuzz.up/1"


@click.command(
    cls=Command,
    epilog=examples(
        "chaosfuzz up --workers 3",
        "chaosfuzz up --port 0 --speed 10 --defect no-lease-recovery",
        "chaosfuzz up --data ./data",
    ),
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    envvar="PORT",
    help="Port of the server on 127.0.0.1; 0 takes a free one (or PORT).",
)
@click.option(
    "--workers",
    type=click.IntRange(0, MAX_WORKERS),
    default=2,
    show_default=True,
    help="Number of workers to start.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.1, MAX_SPEED),
    default=1.0,
    show_default=True,
    help="Divide all times by this: tasks, polls, leases, backoffs, the breaker's pause.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep the database in DIR, and go on with the one that DIR holds.",
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
    """Start PostgreSQL, server and workers, and leave them running.

    Printed are the URL, the admin's password (a new one each time) and the connection string of
    the database. OUT/up/state.json holds them too; only you can read it, and the other commands
    find the system by it. A service that ends by itself is not started again: see `chaosfuzz
    workers status`.

    `chaosfuzz down` ends all of it and removes the database. With --data the database stays, and
    the next `up` has the same password.
    """
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
        click.echo("end it    chaosfuzz down")
    if json_to is not None:
        write_document(_document(state, workers), json_to)
    return 0


@click.command(cls=Command, epilog=examples("chaosfuzz down"))
@out_option
def down(out: Path) -> int:
    """End what `chaosfuzz up` left running.

    Its logs and its database are removed; a database in --data stays.
    """
    state = standing.take_down(out)
    if state is None:
        click.echo(f"nothing to end: no system is up in {out}")
    else:
        stays = f"; the database stays in {state.data}" if state.data is not None else ""
        click.echo(f"{state.base_url} is down, its files are removed{stays}")
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
