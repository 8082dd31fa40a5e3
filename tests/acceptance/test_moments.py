"""Moments from the outside: sweep, fuzz, replay."""

from pathlib import Path

import pytest
from acceptance.command import chaosfuzz
from acceptance.test_bad_input import CASE

NEVER = f"""{CASE}\
  - kill_worker: {{worker: 1, at: {{after: "DELETE FROM no_such_table [00000000]", nth: 1}}}}
"""


@pytest.mark.long
def test_sweep_holds_at_every_moment_of_the_correct_system(tmp_path: Path) -> None:
    done = chaosfuzz(tmp_path, "sweep", "--json", "-")
    assert done.code == 0, done.out + done.err
    assert (done.json["command"], done.json["verdict"]) == ("sweep", "holds")
    moments = done.json["moments"]
    assert isinstance(moments, list)
    assert len(moments) >= 30
    assert {m["verdict"] for m in moments} == {"holds"}
    assert {m["action"] for m in moments} >= {"kill_worker", "cut_connection", "hold_connection"}
    assert {m["side"] for m in moments} >= {"before", "after"}
    assert done.err.count(" holds") >= len(moments)


@pytest.mark.long
def test_sweep_saves_a_case_for_each_distinct_failure_that_replays(tmp_path: Path) -> None:
    done = chaosfuzz(tmp_path, "sweep", "--defect", "no-lease-recovery", "--json", "-")
    assert done.code == 1, done.out + done.err
    failures = done.json["failures"]
    assert isinstance(failures, list)
    kinds = {failure["signature"]["kind"] for failure in failures}
    assert kinds == {"STUCK", "FINISHED_UNACKED"}
    (stuck,) = (f for f in failures if f["signature"]["kind"] == "STUCK")
    assert stuck["violations"] == stuck["attempts"] == 5
    text = (tmp_path / stuck["case"]).read_text()
    assert "at: {after: " in text or "at: {before: " in text
    again = chaosfuzz(tmp_path, "replay", stuck["case"], "--times", "3")
    assert again.code == 1, again.out
    assert "fails 3 of 3" in again.out
    mended = chaosfuzz(tmp_path, "replay", stuck["case"], "--times", "2", "--defect", "none")
    assert mended.code == 0, mended.out


@pytest.mark.long
def test_fuzz_pins_faults_to_requests_and_counts_what_came(tmp_path: Path) -> None:
    logical = ("--moments", "logical", "--examples", "8", "--seed", "5", "--json", "-")
    done = chaosfuzz(tmp_path, "fuzz", *logical)
    assert done.code == 0, done.out + done.err
    assert int(str(done.json["moments_came"])) > 0
    (run,) = (tmp_path / "chaosfuzz-runs").iterdir()
    assert "UPDATE tasks SET status='completed'" in (run / "alphabet.json").read_text()
    assert '"armed"' in (run / "events.jsonl").read_text()


@pytest.mark.long
def test_by_the_clock_no_moment_is_waited_for(tmp_path: Path) -> None:
    clock = ("--moments", "clock", "--examples", "3", "--seed", "5", "--json", "-")
    done = chaosfuzz(tmp_path, "fuzz", *clock)
    assert done.code == 0, done.out + done.err
    assert done.json["moments_came"] == done.json["moments_never_came"] == 0


def test_a_case_whose_moment_never_comes_proves_nothing(tmp_path: Path) -> None:
    (tmp_path / "never.yaml").write_text(NEVER)
    done = chaosfuzz(tmp_path, "replay", "never.yaml", "--times", "2", "--json", "-")
    assert done.code == 3, done.out + done.err
    assert done.json["verdict"] == "unknown"
    assert "never came" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sweep", "simulated"], ["simulated", "no moments"]),
        (["sweep", "mars"], ["mars", "reference"]),
        (["sweep", "--defect", "gremlins"], ["gremlins"]),
        (["fuzz", "--moments", "sometimes"], ["sometimes", "logical"]),
    ],
)
def test_what_is_not_there_is_refused(
    tmp_path: Path, arguments: list[str], said: list[str]
) -> None:
    done = chaosfuzz(tmp_path, *arguments)
    assert done.code == 2, done.out + done.err
    for word in said:
        assert word in done.err
