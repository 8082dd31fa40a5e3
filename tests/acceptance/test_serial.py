"""One request at a time, from the outside: fuzz, replay, shrink, bench."""

import json
from pathlib import Path

import pytest
from acceptance.command import chaosfuzz
from acceptance.test_bad_input import CASE

SEED = "serial_seed: 12"
SERIAL = CASE.replace("workers: 1", f"workers: 2\n{SEED}")
NEEDED_RUNS = 27


@pytest.mark.long
def test_the_correct_system_holds_in_series(tmp_path: Path) -> None:
    few = ("--serial", "--examples", "3", "--seed", "3", "--json", "-")
    done = chaosfuzz(tmp_path, "fuzz", *few)
    assert done.code == 0, done.out + done.err
    assert done.json["schedules"] == 3
    assert "one request at a time" in done.err
    (run,) = (tmp_path / "chaosfuzz-runs").iterdir()
    told = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    seeds = [line["serial_seed"] for line in told if "serial_seed" in line]
    assert len(set(seeds)) >= 3


@pytest.mark.long
def test_a_case_found_in_series_replays_in_the_same_order(tmp_path: Path) -> None:
    planted = ("--defect", "respond-before-commit", "--seed", "2", "--no-shrink")
    done = chaosfuzz(tmp_path, "fuzz", "--serial", *planted)
    assert done.code == 1, done.out + done.err
    (case,) = (tmp_path / "shrunk_cases").rglob("*.yaml")
    (line,) = (line for line in case.read_text().splitlines() if line.startswith("serial_seed: "))
    again = chaosfuzz(tmp_path, "replay", str(case), "--times", "1")
    assert again.code in {0, 1}, again.out
    assert f"one request at a time (seed {line.split()[1]})" in again.out


@pytest.mark.long
def test_a_case_replays_in_series_if_it_says_so_or_if_asked(tmp_path: Path) -> None:
    (tmp_path / "serial.yaml").write_text(SERIAL)
    (tmp_path / "free.yaml").write_text(CASE)
    for arguments in (["serial.yaml"], ["free.yaml", "--serial"]):
        done = chaosfuzz(tmp_path, "replay", *arguments, "--times", "1")
        assert done.code == 0, done.out + done.err
        assert "one request at a time" in done.out
    free = chaosfuzz(tmp_path, "replay", "free.yaml", "--times", "1")
    assert free.code == 0, free.out + free.err
    assert "one request at a time" not in free.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SERIAL.replace(SEED, "serial_seed: -1"), ["serial_seed", "-1"]),
        (SERIAL.replace(SEED, "serial_seed: 4294967296"), ["serial_seed", "4294967296"]),
        (SERIAL.replace(SEED, "serial_seed: soon"), ["serial_seed", "soon"]),
        (SERIAL.replace("name: reference", "name: simulated"), ["simulated", "serial"]),
    ],
)
def test_a_case_with_no_such_order_is_refused(
    tmp_path: Path, content: str, said: list[str]
) -> None:
    (tmp_path / "bad.yaml").write_text(content)
    for command in ("replay", "shrink"):
        done = chaosfuzz(tmp_path, command, "bad.yaml")
        assert done.code == 2, done.out + done.err
        for word in ("bad.yaml", *said):
            assert word in done.err


def test_a_target_without_requests_is_refused(tmp_path: Path) -> None:
    done = chaosfuzz(tmp_path, "fuzz", "simulated", "--serial", "--examples", "1")
    assert done.code == 2, done.out + done.err
    for word in ("simulated", "--serial", "reference"):
        assert word in done.err


@pytest.mark.long
def test_the_order_up_to_a_fault_repeats(tmp_path: Path) -> None:
    done = chaosfuzz(tmp_path, "bench", "serial", "--runs", "30", "--json", "-")
    assert done.code == 0, done.out + done.err
    assert done.json["schema"] == "chaosfuzz.serial/1"
    arms = done.json["arms"]
    assert isinstance(arms, list)
    serial, free = arms
    assert (serial["arm"], free["arm"]) == ("serial", "free")
    assert serial["runs"] == free["runs"] == 30
    assert serial["most_common"] >= NEEDED_RUNS
    assert serial["requests"] >= 20
    assert free["most_common"] < serial["most_common"]
