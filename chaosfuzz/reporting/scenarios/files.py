"""The reports of a run: JSON of a versioned shape, Markdown, JUnit XML and timelines."""

import csv
import json
from dataclasses import asdict, fields
from pathlib import Path

from chaosfuzz.domain.scenario import Sample, ScenarioResult, ScenarioRun
from chaosfuzz.reporting.scenarios.junit import write_junit
from chaosfuzz.reporting.scenarios.markdown import to_markdown

SCHEMA = "chaosfuzz.scenarios/1"


def to_json(run: ScenarioRun) -> str:
    """Return the run as JSON, with every metric; rates as shares beside their counts."""
    content = {
        "schema": SCHEMA,
        "verdict": run.verdict,
        "total": len(run.planned),
        "passed": run.passed.good,
        "failed": run.failed,
        "pass_rate": round(run.passed.share, 4),
        **asdict(run),
        "duration_s": round(run.duration_s, 3),
        "results": [_result(result) for result in run.results],
    }
    return json.dumps(content, indent=2) + "\n"


def write_reports(directory: Path, run: ScenarioRun) -> str:
    """Write run.json, report.md, junit.xml and the timelines.

    Return an error message if one of them cannot be written, else "". It is no exception, because
    the results must still be shown.
    """
    try:
        (directory / "run.json").write_text(to_json(run), encoding="utf-8")
        (directory / "report.md").write_text(to_markdown(run), encoding="utf-8")
        write_junit(directory / "junit.xml", run)
        for result in run.results:
            _write_timeline(directory / f"monitor-{result.name}.csv", result)
    except OSError as error:
        remedy = "free disk space, or name another directory with --out"
        return f"cannot write reports to {directory}: {error.strerror}; {remedy}"
    return ""


def _write_timeline(path: Path, result: ScenarioResult) -> None:
    if not result.metrics.samples:
        return
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Sample)])
        writer.writeheader()
        writer.writerows(asdict(sample) for sample in result.metrics.samples)


def _result(result: ScenarioResult) -> dict[str, object]:
    metrics = result.metrics
    return {
        **asdict(result),
        "metrics": {
            **asdict(metrics),
            "completion_rate": round(metrics.completed.share, 4),
            "api_success_rate": round(metrics.api.share, 4) if metrics.api.of else None,
            "mean_recovery_s": _rounded(metrics.mean_recovery_s),
            "worst_recovery_s": _rounded(metrics.worst_recovery_s),
        },
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
