"""Options that several commands share, and how their values are read."""

import os
import re
import secrets
from pathlib import Path

import click

from chaosfuzz.domain.errors import UsageError

DEFAULT_OUT = Path("chaosfuzz-runs")
DEFAULT_CASES = Path("shrunk_cases")
DEFAULT_PORT = 3000
MAX_LANES = 8
PLACES = ("process", "docker")
PROMISES = ("at-least-once", "exactly-once-effect")


def _writable(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Return the path; raise UsageError, before any work, if it cannot be written."""
    del context, option
    if value is None or value == "-":
        return value
    path = Path(value)
    reason = None
    if path.is_dir():
        reason = "it is a directory"
    elif not path.parent.is_dir():
        reason = f"there is no directory {path.parent}"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        reason = "permission denied"
    if reason is not None:
        raise UsageError(
            cause=f"--json {value}: {reason}", remedy="choose a file that can be written"
        )
    return value


invariants_option = click.option(
    "--invariants",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Directory of your own invariants. Default: ./invariants, if there is one.",
)
cases_option = click.option(
    "--cases",
    type=click.Path(path_type=Path),
    default=DEFAULT_CASES,
    show_default=True,
    metavar="DIR",
    help="Directory in which failing schedules are saved as cases.",
)
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=DEFAULT_OUT,
    show_default=True,
    envvar="OUTPUT_DIR",
    metavar="DIR",
    help="Directory of results and logs, and of the state of `chaosfuzz up` (or OUTPUT_DIR).",
)
json_option = click.option(
    "--json",
    "json_to",
    metavar="FILE",
    callback=_writable,
    help="Write the summary as JSON to FILE; - is standard output.",
)

defects_option = click.option(
    "--defect",
    "defects",
    multiple=True,
    metavar="NAME",
    help="Plant a defect (repeatable). See: chaosfuzz defects",
)
contract_option = click.option(
    "--contract",
    type=click.Choice(PROMISES),
    default=PROMISES[0],
    show_default=True,
    help="The promise to hold the target to.",
)
on_option = click.option(
    "--on",
    type=click.Choice(PLACES),
    default=PLACES[0],
    show_default=True,
    help="Run the target as processes, or in containers of this machine's Docker.",
)
lanes_option = click.option(
    "--lanes",
    type=click.IntRange(1, MAX_LANES),
    help="Copies of the target to run side by side. Default: 1 a CPU, at most 2.",
)

limits_option = click.option(
    "--limits-fail",
    is_flag=True,
    help="Exit with code 1 also for failures that the target documents as limits.",
)
profiles_option = click.option(
    "--profile",
    "profiles",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Profile that a case was found with; its commands are run (repeatable).",
)

url_option = click.option(
    "--url",
    envvar="BASE_URL",
    metavar="URL",
    help="URL of the server (or BASE_URL). Default: that of `chaosfuzz up`.",
)
server_port_option = click.option(
    "--port",
    type=click.IntRange(1, 65535),
    envvar="PORT",
    help=f"Port of the server on 127.0.0.1, without --url (or PORT). Default: {DEFAULT_PORT}.",
)
token_option = click.option(
    "--auth", "token", metavar="TOKEN", help="Token of the tasks' owner: see chaosfuzz auth."
)
verbose_option = click.option(
    "--verbose", is_flag=True, envvar="VERBOSE", help="Print more details (or VERBOSE=true)."
)

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def read_duration(text: str, option: str = "--time") -> float:
    """Return the seconds that '90', '60s', '10m', '8h' or '500ms' stand for.

    Raises UsageError, naming `option`, for any other text and for zero.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text.strip())
    if match is None or float(match[1]) == 0:
        raise UsageError(
            cause=f"{option} {text!r} is not a duration", remedy="write for example 60s, 10m or 8h"
        )
    return float(match[1]) * _UNITS[match[2] or "s"]


def pick_seed(seed: int | None) -> int:
    """Return `seed`, or a random one if it is None; raise UsageError if it is negative."""
    if seed is not None and seed < 0:
        raise UsageError(cause=f"--seed {seed} is negative", remedy="use a whole number from 0")
    return secrets.randbelow(10**6) if seed is None else seed


def default_lanes() -> int:
    """Return the number of lanes: one for each CPU this process may use, at most 2.

    More lanes make each system late, which looks like a broken promise (2 chosen by hand).
    """
    return max(1, min(2, len(os.sched_getaffinity(0))))
