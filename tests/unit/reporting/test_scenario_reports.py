import csv
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from chaosfuzz.domain.scenario import (
    Count,
    Criterion,
    Grade,
    Mark,
    Metrics,
    Recovery,
    Sample,
    ScenarioResult,
    ScenarioRun,
)
from chaosfuzz.reporting.scenarios import SCHEMA, rows, to_json, to_markdown, write_reports

SAMPLE = Sample(
    at_s=0.5,
    waiting=3,
    running=2,
    completed=5,
    failed=0,
    workers=2,
    memory_bytes=100 << 20,
    sessions=7,
    breakers="probe=closed",
)
GOOD = ScenarioResult(
    name="recovery",
    level=1,
    grade=Grade.PASS,
    why="10 of 10 (100.0 %) completed",
    duration_s=2.5,
    metrics=Metrics(
        created=10,
        completed=Count(good=10, of=10),
        in_time=Count(good=10, of=10),
        api=Count(good=99, of=100),
        recoveries=(
            Recovery(component="server-1", what="killed", seconds=0.2),
            Recovery(component="server-1", what="killed", seconds=0.4),
        ),
        samples=(SAMPLE,),
    ),
    criteria=(Criterion(name="API success", measured="99|100", target="95 %", mark=Mark.MET),),
)
BAD = replace(GOOD, name="worker-restart", grade=Grade.FAIL, why="STUCK: task 3 \x00", criteria=())
LATE = replace(GOOD, name="dynamic-scaling", grade=Grade.LATE)


def run_of(*results: ScenarioResult, planned: tuple[str, ...] = (), error: str = "") -> ScenarioRun:
    return ScenarioRun(
        level=1,
        level_name="basic resilience",
        speed=10.0,
        seed=7,
        defects=(),
        planned=planned or tuple(result.name for result in results),
        results=results,
        duration_s=12.34,
        interrupted=bool(planned),
        error=error,
    )


@pytest.mark.parametrize(
    ("grades", "verdict"),
    [
        ((Grade.PASS, Grade.LATE), "holds"),
        ((Grade.PASS, Grade.FAIL), "violated"),
        ((Grade.PASS, Grade.UNKNOWN), "unknown"),
        ((Grade.PASS, Grade.ERROR), "infrastructure"),
        ((Grade.UNKNOWN, Grade.ERROR, Grade.FAIL), "violated"),
        ((), "unknown"),
    ],
)
def test_the_worst_grade_is_the_verdict(grades: tuple[Grade, ...], verdict: str):
    results = [replace(GOOD, name=str(n), grade=grade) for n, grade in enumerate(grades)]
    assert run_of(*results).verdict == verdict


def test_what_did_not_finish_is_no_pass():
    assert run_of(GOOD, planned=("recovery", "baseline")).verdict == "unknown"
    assert run_of(GOOD, error="the disk is full").verdict == "infrastructure"


def test_the_table_has_totals_and_a_line_per_scenario_with_why():
    head, *lines = rows(run_of(GOOD, BAD, LATE))
    assert head == (
        "3 scenarios at level 1 (basic resilience), 2 passed, 1 failed: 67 % passed, 12.3 s"
    )
    assert [line.split()[:2] for line in lines] == [
        ["PASS", "recovery"],
        ["FAIL", "worker-restart"],
        ["PASS*", "dynamic-scaling"],
    ]
    assert "STUCK: task 3" in lines[1]


def test_the_json_has_a_version_and_rates_with_their_sample_sizes():
    content = json.loads(to_json(run_of(GOOD, BAD)))
    assert content["schema"] == SCHEMA == "chaosfuzz.scenarios/1"
    assert (content["total"], content["passed"], content["failed"]) == (2, 1, 1)
    metrics = content["results"][0]["metrics"]
    assert metrics["api"] == {"good": 99, "of": 100}
    assert metrics["api_success_rate"] == 0.99
    assert (metrics["mean_recovery_s"], metrics["worst_recovery_s"]) == (0.3, 0.4)


def test_the_markdown_escapes_what_would_break_its_tables():
    text = to_markdown(run_of(GOOD, LATE))
    assert "| API success | 99\\|100 | 95 % | met |" in text
    assert "| dynamic-scaling | PASS\\* |" in text
    assert "memory 100 to 100 MB" in text


def test_reports_are_written_and_what_did_not_run_is_an_error_in_junit(tmp_path: Path):
    planned = ("recovery", "worker-restart", "baseline")
    assert write_reports(tmp_path, run_of(GOOD, BAD, planned=planned)) == ""
    suite = ET.parse(tmp_path / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    found = {case.get("name"): [child.tag for child in case] for case in suite}
    assert found["worker-restart"][0] == "failure"
    assert found["baseline"] == ["error"]
    with (tmp_path / "monitor-recovery.csv").open() as stream:
        (line,) = csv.DictReader(stream)
    assert (line["completed"], line["sessions"]) == ("5", "7")
    assert json.loads((tmp_path / "run.json").read_text())["verdict"] == "violated"


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path):
    problem = write_reports(tmp_path / "absent", run_of(GOOD))
    assert "cannot write reports" in problem
    assert "--out" in problem
