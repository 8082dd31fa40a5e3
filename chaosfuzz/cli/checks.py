"""`chaosfuzz check-api`: the guide's API test."""

from dataclasses import asdict
from pathlib import Path

import click

from chaosfuzz.api import Check, check_api
from chaosfuzz.cli.help import Command, examples
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import (
    DEFAULT_PORT,
    json_option,
    out_option,
    server_port_option,
    url_option,
    verbose_option,
)
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.standing.destination import find_destination

SCHEMA = "chaosfuzz.check-api/1"


@click.command(
    "check-api",
    cls=Command,
    epilog=examples(
        "chaosfuzz check-api",
        "chaosfuzz check-api --url http://127.0.0.1:8080 --json -",
    ),
)
@url_option
@server_port_option
@click.option(
    "--moderator-token",
    metavar="TOKEN",
    help="Token that may read the counts of all tasks. Default: the admin's of `chaosfuzz up`; "
    "for another server the answer 403 passes too.",
)
@verbose_option
@out_option
@json_option
def check_api_command(
    url: str | None,
    port: int | None,
    moderator_token: str | None,
    verbose: bool,
    out: Path,
    json_to: str | None,
) -> int:
    """Send 44 requests to the API and check each answer.

    These are the requests of the guide's API test; status and JSON envelope are checked. The
    command registers a user and creates a few tasks.

    Exit code: 0 all passed, 1 some failed, 3 no server answers.
    """
    destination = find_destination(url=url, port=port, out=out, default_port=DEFAULT_PORT)
    token = moderator_token or destination.admin_token()
    checks: list[Check] = []
    for check in check_api(destination.base_url, moderator_token=token):
        if not checks and check.status is None:
            raise InfrastructureError(
                cause=check.detail,
                remedy="start a server (chaosfuzz up) or name another with --url",
            )
        checks.append(check)
        click.echo(_line(check, verbose=verbose), err=json_to == "-")
    passed = sum(check.passed for check in checks)
    rate = 100 * passed / len(checks)
    click.echo(f"{passed} of {len(checks)} passed ({rate:.1f} %)", err=json_to == "-")
    if json_to is not None:
        content = {
            "schema": SCHEMA,
            "base_url": destination.base_url,
            "total": len(checks),
            "passed": passed,
            "success_rate_percent": round(rate, 1),
            "checks": [asdict(check) for check in checks],
        }
        write_document(content, json_to)
    return 0 if passed == len(checks) else 1


def _line(check: Check, *, verbose: bool) -> str:
    verdict = "ok    " if check.passed else "FAILED"
    line = f"{verdict} {check.number:2} {check.name}"
    if check.detail:
        return f"{line}: {check.detail}"
    return f"{line}: {check.status}" if verbose else line
