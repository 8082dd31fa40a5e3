"""Options that several commands share, and how they are read."""

import os
import re
import secrets
from pathlib import Path

import click

from chaosfuzz.domain.errors import UsageError

DEFAULT_OUT = Path("chaosfuzz-runs")
DEFAULT_CASES = Path("shrunk_cases")
MAX_LANES = 8
PROMISES = ("at-least-once", "exactly-once-effect")

invariants_option = click.option(
    "--invariants",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Directory of your invariants. Default: ./invariants if there is one.",
)
cases_option = click.option(
    "--cases",
    type=click.Path(path_type=Path),
    default=DEFAULT_CASES,
    show_default=True,
    metavar="DIR",
    help="Where cases are saved.",
)
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=DEFAULT_OUT,
    show_default=True,
    metavar="DIR",
    help="Where run directories go.",
)
json_option = click.option(
    "--json", "json_to", metavar="FILE", help="Write the summary as JSON to a file, - for stdout."
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
    help="What the target is asked to promise.",
)
lanes_option = click.option(
    "--lanes",
    type=click.IntRange(1, MAX_LANES),
    help="Copies of the target run side by side. Default: as many as this machine carries.",
)

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def read_duration(text: str) -> float:
    """Return seconds for '90', '60s', '10m', '8h' or '500ms'; raises UsageError otherwise."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text.strip())
    if match is None or float(match[1]) == 0:
        message = f"--time {text!r} is not a duration; write for example 60s, 10m or 8h"
        raise UsageError(message)
    return float(match[1]) * _UNITS[match[2] or "s"]


def pick_seed(seed: int | None) -> int:
    """Return the seed given, or a fresh one."""
    if seed is not None and seed < 0:
        message = f"--seed {seed} is negative; use a whole number from 0"
        raise UsageError(message)
    return secrets.randbelow(10**6) if seed is None else seed


def default_lanes() -> int:
    """Return how many lanes this machine carries without making systems late."""
    return max(1, min(2, len(os.sched_getaffinity(0))))
