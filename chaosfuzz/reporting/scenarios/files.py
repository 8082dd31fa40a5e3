"""Writes all reports of a run into its directory."""

import csv
from dataclasses import asdict, fields
from pathlib import Path

from chaosfuzz.domain.scenario import Sample, ScenarioResult, ScenarioRun
from chaosfuzz.reporting.scenarios.document import to_json
from chaosfuzz.reporting.scenarios.junit import write_junit
from chaosfuzz.reporting.scenarios.markdown import to_markdown


def write_reports(directory: Path, run: ScenarioRun) -> str:
    """Write run.json, report.md, junit.xml and the timelines; return what went wrong, or "".

    A report that cannot be written must not hide what was found, which is on screen already.
    """
    try:
        (directory / "run.json").write_text(to_json(run), encoding="utf-8")
        (directory / "report.md").write_text(to_markdown(run), encoding="utf-8")
        write_junit(directory / "junit.xml", run)
        for result in run.results:
            _write_timeline(directory / f"monitor-{result.name}.csv", result)
    except OSError as error:
        return f"cannot write reports to {directory}: {error.strerror}; free space or use --out"
    return ""


def _write_timeline(path: Path, result: ScenarioResult) -> None:
    if not result.metrics.samples:
        return
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Sample)])
        writer.writeheader()
        writer.writerows(asdict(sample) for sample in result.metrics.samples)
