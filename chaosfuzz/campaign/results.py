"""Makes the directory of a command's results; writes run.json, junit.xml and report.html."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from chaosfuzz.campaign.events import CaseSaved
from chaosfuzz.cases import dump_case
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.reporting.description import describe_schedule, replay_command
from chaosfuzz.reporting.failures import ReportedFailure
from chaosfuzz.reporting.html import write_report
from chaosfuzz.reporting.junit import write_junit
from chaosfuzz.reporting.summary import Summary


def create_run_directory(parent: Path, command: str) -> Path:
    """Make and return a fresh directory below `parent`, named by time, command and process id.

    Raises UsageError if it cannot be made.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    path = parent / f"{stamp}-{command}-{os.getpid()}"
    try:
        path.mkdir(parents=True)
    except OSError as error:
        message = f"cannot write results to {parent}: {error.strerror}"
        raise UsageError(cause=message, remedy="choose another directory with --out") from error
    return path


def write_results(directory: Path, summary: Summary, saved: Iterable[CaseSaved]) -> str:
    """Write the reports of a run. Return an empty string, or the error if a file cannot be written.

    That error is returned, not raised, so that it cannot hide the run's findings.
    """
    failures = tuple(_reported(case) for case in saved)
    try:
        (directory / "run.json").write_text(summary.to_json(), encoding="utf-8")
        write_junit(directory / "junit.xml", summary, failures)
        write_report(directory / "report.html", summary, failures)
    except OSError as error:
        return f"cannot write reports to {directory}: {error.strerror}; free space or use --out"
    return ""


def _reported(saved: CaseSaved) -> ReportedFailure:
    case = saved.case
    return ReportedFailure(
        sentence=case.title,
        schedule_lines=describe_schedule(case),
        rate_text=f"fails {case.reproduces}",
        case_path=str(saved.path),
        replay_command=replay_command(str(saved.path)),
        story=saved.story,
        case_text=dump_case(case),
        documented=case.documented,
    )
