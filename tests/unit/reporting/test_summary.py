import json
from pathlib import Path

import pytest

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.verdict import Signature, Verdict
from chaosfuzz.reporting.summary import FailureSummary, Summary, write_json

SUMMARY = Summary(
    command="fuzz",
    target="reference",
    defects=("no-lease-recovery",),
    verdict=Verdict.VIOLATED,
    seed=7,
    schedules=30,
    steps=240,
    duration_s=12.00049,
    failures=(
        FailureSummary(
            signature=Signature(invariant="eventual_completion", kind="STUCK", role="worker"),
            case="shrunk_cases/reference/stuck.yaml",
            steps=2,
            original_steps=14,
            violations=19,
            attempts=20,
            executions_to_shrink=41,
        ),
    ),
)
PUBLISHED = {
    "schema": "chaosfuzz.summary/1",
    "command": "fuzz",
    "target": "reference",
    "defects": ["no-lease-recovery"],
    "verdict": "violated",
    "seed": 7,
    "schedules": 30,
    "steps": 240,
    "duration_s": 12.0,
    "schedules_per_minute": 150.0,
    "failures": [
        {
            "signature": {"invariant": "eventual_completion", "kind": "STUCK", "role": "worker"},
            "case": "shrunk_cases/reference/stuck.yaml",
            "steps": 2,
            "original_steps": 14,
            "violations": 19,
            "attempts": 20,
            "executions_to_shrink": 41,
        }
    ],
}


def test_the_summary_has_the_published_shape():
    content = json.loads(SUMMARY.to_json())
    assert {key: content[key] for key in PUBLISHED} == PUBLISHED


def test_a_run_that_took_no_time_has_no_rate():
    empty = Summary(
        command="fuzz",
        target="reference",
        defects=(),
        verdict=Verdict.UNKNOWN,
        seed=0,
        schedules=0,
        steps=0,
        duration_s=0.0,
    )
    content = json.loads(empty.to_json())
    assert (content["schedules_per_minute"], content["failures"]) == (0.0, [])


def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str]):
    write_json(SUMMARY, "-")
    assert json.loads(capsys.readouterr().out)["seed"] == 7


def test_a_file_is_written(tmp_path: Path):
    write_json(SUMMARY, str(tmp_path / "run.json"))
    assert json.loads((tmp_path / "run.json").read_text())["verdict"] == "violated"


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path):
    with pytest.raises(UsageError, match="Is a directory\nchoose a file that can be written"):
        write_json(SUMMARY, str(tmp_path))
