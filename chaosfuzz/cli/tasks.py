"""`chaosfuzz auth` and `watch`: a user of a server, and what becomes of tasks."""

import json
import threading
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from chaosfuzz.api import Api, sign_up
from chaosfuzz.api.accounts import DEFAULT_DOMAIN, DEFAULT_PREFIX
from chaosfuzz.api.watching import STALL_S, Ending, Watch
from chaosfuzz.cli.interrupts import stopping
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
from chaosfuzz.standing.destination import find_destination, source_of

WATCH_SCHEMA = "chaosfuzz.watch/1"
EXIT_INTERRUPTED = 130


@click.command(short_help="Register a user and print a token")
@url_option
@server_port_option
@click.option("--prefix", default=DEFAULT_PREFIX, show_default=True, help="Of the username.")
@click.option("--domain", default=DEFAULT_DOMAIN, show_default=True, help="Of the address.")
@click.option("--password", help="Default: a random one, which nobody learns.")
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
    """Register a user, log in, and print token, user_id, username and email as JSON.

    \b
    TOKEN=$(chaosfuzz auth | jq -r .token)
    """  # noqa: D301 - click reads the escape
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


@click.command(short_help="Watch the tasks of a tag until they have ended")
@click.option("--tag", required=True, help="metadata.tag of the tasks.")
@url_option
@server_port_option
@token_option
@click.option(
    "--deadline", type=click.FloatRange(min=0, min_open=True), help="Seconds to wait at most."
)
@click.option(
    "--interval",
    type=click.FloatRange(0.05, 3600),
    default=1.0,
    show_default=True,
    help="Seconds from one look to the next.",
)
@click.option("--expect", type=click.IntRange(1), default=1, help="Wait until so many are there.")
@click.option(
    "--stall",
    type=click.FloatRange(1, 86_400),
    default=STALL_S,
    show_default=True,
    help="Give up after so many seconds in which none ended.",
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
    """Show the counts of a tag's tasks whenever they change, until all have ended.

    What `up` left running is watched in its database, also while its server is down; any other
    server through its API, with the token of the tasks' owner or a moderator (--auth).

    Exit code: 0 all were completed, 1 some were not or not in time, 3 nothing could be seen.
    """
    destination = find_destination(url=url, port=port, out=out, default_port=DEFAULT_PORT)
    console = make_console(to_stderr=json_to == "-")
    stop = threading.Event()
    with ExitStack() as closing:
        api = None
        if token is not None:
            api = closing.enter_context(Api(destination.base_url, token=token))
            api.user_id()
        source = source_of(destination, tag, api)
        interrupts = closing.enter_context(stopping(stop.set))
        watching = Watch(
            source.count,
            stop,
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
        raise InfrastructureError(
            cause=f"the {source.name} of {destination.base_url} never answered",
            remedy="check that it is up (chaosfuzz up), or name another with --url",
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
