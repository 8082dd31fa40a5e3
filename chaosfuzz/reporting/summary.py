"""The versioned summary of a command."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.verdict import Signature, Verdict

SCHEMA = "chaosfuzz.summary/1"


@dataclass(frozen=True, kw_only=True)
class FailureSummary:
    """One distinct failure."""

    signature: Signature
    case: str | None
    steps: int
    original_steps: int
    violations: int
    attempts: int
    executions_to_shrink: int


@dataclass(frozen=True, kw_only=True)
class MomentSummary:
    """One moment that was tried, and what became of it: a verdict, or `never came`.

    Without an action it is a life that nothing disturbed. `work_ms` is how long its tasks work.
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
    """What a command did and found.

    `limits` are documented limits of the target that showed; they are no failures.
    `excused_runs` counts executions that repeated a task after a fault that justifies it; `excuses`
    are the first of them in words.
    `moments_never_came` counts runs in which a moment was waited for in vain; they are no passes.
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
        """Return it as JSON of the published shape."""
        rate = 60 * self.schedules / self.duration_s if self.duration_s else 0.0
        content = {"schema": SCHEMA, **asdict(self), "schedules_per_minute": round(rate, 1)}
        content["duration_s"] = round(self.duration_s, 3)
        return json.dumps(content, indent=2) + "\n"


def write_json(summary: Summary, destination: str) -> None:
    """Write to a file, or to standard output for '-'; raises UsageError if it cannot."""
    if destination == "-":
        sys.stdout.write(summary.to_json())
        return
    try:
        Path(destination).write_text(summary.to_json(), encoding="utf-8")
    except OSError as error:
        message = f"--json {destination}: {error.strerror}"
        raise UsageError(cause=message, remedy="choose a file that can be written") from error
