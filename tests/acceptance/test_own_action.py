"""The worked example of docs/actions.md: listed, drawn, shrunk, saved and replayed."""

import shutil
from itertools import islice
from pathlib import Path

import pytest
from acceptance.command import chaosfuzz

from chaosfuzz.actions import Action, registry
from chaosfuzz.actions.loading import import_own_actions
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure, Signature, Verdict
from chaosfuzz.planning import schedules
from chaosfuzz.shrinking import Budget, Reducer

TOP = Path(__file__).parents[2]
EXAMPLES = TOP / "docs/examples/actions"
NAME = "stutter_worker"
CASE = """\
chaosfuzz_case: 1
title: a stuttering worker does its work
target: {name: reference}
contract: at-least-once
signature: {invariant: no_lost_tasks, kind: LOST, role: worker}
reproduces: {violations: 1, attempts: 1}
found: {date: 2026-11-28, seed: 1, steps: 2, executions_to_shrink: 0}
workers: 1
steps:
  - create_tasks: {count: 2, duration_ms: 50}
  - stutter_worker: {worker: 1, times: 3, pause_ms: 20}
"""


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Action:
    """The example's action, registered for one test."""
    monkeypatch.setattr(registry, "_ACTIONS", dict(registry._ACTIONS))
    monkeypatch.setattr(registry, "_OWN_IMPORTED", [True])
    import_own_actions(EXAMPLES)
    return registry.find_action(NAME)


def test_it_is_drawn_like_the_bundled_ones(own: Action):
    offered = ("create_tasks", "wait", own.name)
    drawn = list(islice(schedules(offered, 8, seed=1), 60))
    steps = [step for schedule in drawn for step in schedule.steps if step.kind is own]
    assert {step["times"] for step in steps} == {2, 5, 10}


def test_it_is_shrunk_like_the_bundled_ones(own: Action):
    signature = Signature(invariant="fake", kind="LOST", role="worker")

    def run(schedule: Schedule) -> RunResult:
        at = next((n for n, step in enumerate(schedule.steps) if step.kind is own), None)
        failure = None
        if at is not None:
            failure = Failure(signature=signature, message="lost", tasks=(), step=at)
        verdict = Verdict.HOLDS if failure is None else Verdict.VIOLATED
        return RunResult(schedule=schedule, verdict=verdict, failure=failure)

    drawn = schedules(("create_tasks", "wait", own.name), 8, seed=1)
    schedule = next(s for s in drawn if run(s).failure is not None and len(s.steps) > 3)
    failure = run(schedule).failure
    assert failure is not None
    shrunk = Reducer(run, Budget(executions=300, time_s=60)).shrink(schedule, failure)
    assert str(shrunk.schedule.steps[-1]) == f"{NAME}(worker=1)"
    assert len(shrunk.schedule.steps) == 1


def test_it_is_listed_and_replayed_from_the_directory_where_chaosfuzz_runs(tmp_path: Path):
    shutil.copytree(EXAMPLES, tmp_path / "actions")
    (tmp_path / "actions/other.py").write_text("raise SystemExit('not for chaosfuzz')\n")
    case = tmp_path / "case.yaml"
    case.write_text(CASE)
    listed = chaosfuzz(tmp_path, "actions")
    assert NAME in listed.out
    assert "times: 1..20 (default 1), how often" in listed.out
    done = chaosfuzz(tmp_path, "replay", str(case), "--times", "1")
    assert done.code == 0, done.out + done.err
    assert "fails 0 of 1" in done.out


def test_without_its_file_a_case_that_names_it_is_refused(tmp_path: Path):
    case = tmp_path / "case.yaml"
    case.write_text(CASE)
    done = chaosfuzz(tmp_path, "replay", str(case))
    assert done.code == 2
    assert f"unknown action '{NAME}'" in done.err


def test_a_file_that_cannot_be_imported_is_told_with_its_line(tmp_path: Path):
    (tmp_path / "broken.py").write_text("from chaosfuzz.actions import Action\n1 / 0\n")
    with pytest.raises(UsageError, match=r"broken.py:2: cannot be imported: ZeroDivisionError"):
        import_own_actions(tmp_path)
