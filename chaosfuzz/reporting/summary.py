"""The summary of a command, as JSON of a versioned shape."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.verdict import Signature, Verdict

SCHEMA = "chaosfuzz.summary/1"


@dataclass(frozen=True, kw_only=True)
class FailureSummary:
    """One distinct failure; `case` is the path of its case, if one was saved."""

    signature: Signature
    case: str | None
    steps: int
    original_steps: int
    violations: int
    attempts: int
    executions_to_shrink: int


@dataclass(frozen=True, kw_only=True)
class MomentSummary:
    """One moment at which a fault was tried. `verdict` may also be `never came`.

    Without an action, the life was not disturbed. `work_ms` is how long each task worked.
    """

    life: str
    work_ms: int
    action: str
    moment: str
    side: str
    nth: int
    verdict: str
    signature: Signature | None
    violations: int
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures and the failures of a command.

    - `limits`: documented limits of the target that showed; they are no failures.
    - `excused_runs`: how many executions repeated a task after a fault that justifies it;
      `excuses`: the first of them, in words.
    - `moments_never_came`: how many runs waited for a moment in vain; they are no passes.
    """

    command: str
    target: str
    defects: tuple[str, ...]
    verdict: Verdict
    seed: int
    schedules: int
    steps: int
    duration_s: float
    failures: tuple[FailureSummary, ...] = ()
    limits: tuple[FailureSummary, ...] = ()
    unknown_schedules: int = 0
    states_seen: int = 0
    faults: int = 0
    moments_came: int = 0
    moments_never_came: int = 0
    moments: tuple[MomentSummary, ...] = ()
    message: str = ""
    excused_runs: int = 0
    excuses: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the summary as JSON."""
        rate = 60 * self.schedules / self.duration_s if self.duration_s else 0.0
        content = {"schema": SCHEMA, **asdict(self), "schedules_per_minute": round(rate, 1)}
        content["duration_s"] = round(self.duration_s, 3)
        return json.dumps(content, indent=2) + "\n"


def write_json(summary: Summary, destination: str) -> None:
    """Write to a file, or to standard output for '-'. Raises UsageError if that fails."""
    if destination == "-":
        sys.stdout.write(summary.to_json())
        return
    try:
        Path(destination).write_text(summary.to_json(), encoding="utf-8")
    except OSError as error:
        message = f"--json {destination}: {error.strerror}"
        raise UsageError(cause=message, remedy="choose a file that can be written") from error
