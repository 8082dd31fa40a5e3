"""One invocation's directory of results."""

import os
from datetime import UTC, datetime
from pathlib import Path

from chaosfuzz.domain.errors import UsageError


def create_run_directory(parent: Path, command: str) -> Path:
    """Make and return a fresh directory for a run; raises UsageError if that is not possible."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    path = parent / f"{stamp}-{command}-{os.getpid()}"
    try:
        path.mkdir(parents=True)
    except OSError as error:
        message = (
            f"cannot write results to {parent}: {error.strerror}; "
            "choose another directory with --out"
        )
        raise UsageError(message) from error
    return path
