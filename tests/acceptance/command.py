"""Runs the chaosfuzz command as a user would."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 420


@dataclass(frozen=True, kw_only=True)
class Finished:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        loaded = json.loads(self.out)
        assert isinstance(loaded, dict)
        return loaded


def arguments_of(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "chaosfuzz", *arguments]


def environment(**changes: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if k not in {"FORCE_COLOR", "NO_COLOR"}}
    return {**clean, "COLUMNS": "120", **changes}


def chaosfuzz(
    directory: Path, *arguments: str, typed: str | None = None, **changes: str
) -> Finished:
    """Run it with changes to the environment; `typed` is its standard input."""
    done = subprocess.run(
        arguments_of(*arguments),
        cwd=directory,
        env=environment(**changes),
        input=typed,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Traceback" not in done.stdout, done.stdout
    return Finished(code=done.returncode, out=done.stdout, err=done.stderr)


def processes_naming(text: str) -> list[str]:
    """Command lines of live processes that hold the text."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and int(entry.name) != os.getpid():
            found.append(line)
    return found
