"""`chaosfuzz auth` and `chaosfuzz watch`: register a user, and watch tasks end."""

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from chaosfuzz.api import Api, sign_up
from chaosfuzz.api.accounts import DEFAULT_DOMAIN, DEFAULT_PREFIX
from chaosfuzz.api.watching import STALL_S, Ending, Watch
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
)
from chaosfuzz.cli.progress import make_console
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.standing.destination import find_destination, source_of

WATCH_SCHEMA = "chaosfuzz.watch/1"


@click.command(
    cls=Command,
    epilog=examples("chaosfuzz auth", "chaosfuzz auth --prefix storm --json account.json"),
)
@url_option
@server_port_option
@click.option(
    "--prefix", default=DEFAULT_PREFIX, show_default=True, help="Beginning of the username."
)
@click.option(
    "--domain", default=DEFAULT_DOMAIN, show_default=True, help="Domain of the email address."
)
@click.option("--password", help="Default: a random one, which is not printed.")
@out_option
@json_option
def auth(
    url: str | None,
    port: int | None,
    prefix: str,
    domain: str,
    password: str | None,
    out: Path,
    json_to: str | None,
) -> int:
    """Register a user, log in, and print the token as JSON.

    The JSON holds token, user_id, username and email. Pass the token to flood and watch with
    --auth.
    """
    destination = find_destination(url=url, port=port, out=out, default_port=DEFAULT_PORT)
    with Api(destination.base_url) as api:
        account = sign_up(api, prefix=prefix, domain=domain, password=password)
    content = {
        "token": account.token,
        "user_id": account.user_id,
        "username": account.username,
        "email": account.email,
    }
    if json_to in {None, "-"}:
        click.echo(json.dumps(content))
    else:
        write_document(content, str(json_to))
    return 0


@click.command(
    cls=Command, epilog=examples("chaosfuzz watch --tag storm --expect 20 --deadline 60")
)
@click.option("--tag", required=True, help="metadata.tag of the tasks.")
@url_option
@server_port_option
@token_option
@click.option(
    "--deadline", type=click.FloatRange(min=0, min_open=True), help="Wait at most so many seconds."
)
@click.option(
    "--interval",
    type=click.FloatRange(0.05, 3600),
    default=1.0,
    show_default=True,
    help="Look every so many seconds.",
)
@click.option(
    "--expect",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of tasks to wait for.",
)
@click.option(
    "--stall",
    type=click.FloatRange(1, 86_400),
    default=STALL_S,
    show_default=True,
    help="Give up after so many seconds in which no task ended.",
)
@out_option
@json_option
def watch(
    tag: str,
    url: str | None,
    port: int | None,
    token: str | None,
    deadline: float | None,
    interval: float,
    expect: int,
    stall: float,
    out: Path,
    json_to: str | None,
) -> int:
    """Count the tasks of a tag by status until all have ended.

    A line is printed whenever the counts change. The tasks of `chaosfuzz up` are counted in its
    database, even while its server is down. The tasks of another server are counted through its
    API, with the token of their owner or of a moderator (--auth).

    Exit code: 0 all were completed, 1 some were not, or not by the deadline, 3 no answer came.
    """
    destination = find_destination(url=url, port=port, out=out, default_port=DEFAULT_PORT)
    console = make_console(to_stderr=json_to == "-")
    stop = StopSignal()
    with ExitStack() as closing:
        api = None
        if token is not None:
            api = closing.enter_context(Api(destination.base_url, token=token))
            api.user_id()
        source = source_of(destination, tag, api)
        interrupts = closing.enter_context(stopping(stop.set))
        watching = Watch(
            count=source.count,
            stop=stop,
            expected=expect,
            deadline_s=deadline,
            interval_s=interval,
            stall_s=stall,
        )
        said = ""
        sighted = False
        for seen in watching.run():
            sighted = sighted or seen is not None
            line = seen.line() if seen is not None else f"the {source.name} does not answer"
            if line != said:
                console.print(f"{watching.duration_s:7.1f} s  {line}")
                said = line
    if not sighted and not interrupts.seen:
        remedy = "start the server (chaosfuzz up), see its log, or name another with --url"
        if api is None:
            remedy = "start it: chaosfuzz service db-start"
        raise InfrastructureError(
            cause=f"no count came from the {source.name} of {destination.base_url}", remedy=remedy
        )
    counts = watching.counts
    console.print(f"{watching.ending}: {counts.completed} of {counts.total} completed")
    if json_to is not None:
        content = {
            "schema": WATCH_SCHEMA,
            "tag": tag,
            "source": source.name,
            "total": counts.total,
            **asdict(counts),
            "unfinished": counts.unfinished,
            "duration_s": round(watching.duration_s, 3),
            "deadline_met": None if deadline is None else watching.ending is Ending.DONE,
            "ending": watching.ending,
        }
        write_document(content, json_to)
    if interrupts.seen:
        return EXIT_INTERRUPTED
    done = watching.ending is Ending.DONE and counts.completed == counts.total
    return 0 if done else 1
