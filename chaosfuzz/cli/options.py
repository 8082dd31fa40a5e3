"""Options that several commands share, and how they are read."""

import os
import re
import secrets
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chaosfuzz.domain.errors import UsageError

Defects = Annotated[
    list[str] | None,
    typer.Option("--defect", help="Plant a defect (repeatable). See: chaosfuzz defects"),
]
Invariants = Annotated[
    Path | None,
    typer.Option(help="Directory of your invariants. Default: ./invariants if there is one."),
]
OnlyInvariants = Annotated[
    list[str] | None,
    typer.Option(
        "--invariant", help="Check this one alone (repeatable). See: chaosfuzz invariants"
    ),
]


class Promise(StrEnum):
    """What the reference system can be asked to promise."""

    AT_LEAST_ONCE = "at-least-once"
    EXACTLY_ONCE_EFFECT = "exactly-once-effect"


Contract = Annotated[Promise, typer.Option(help="What the target is asked to promise.")]
Json = Annotated[
    str | None, typer.Option("--json", help="Write the summary as JSON to a file, - for stdout.")
]
Out = Annotated[Path, typer.Option(help="Where run directories go.")]
DEFAULT_OUT = Path("chaosfuzz-runs")
DEFAULT_CASES = Path("shrunk_cases")

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
