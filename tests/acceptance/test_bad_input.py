"""Bad input gets one clear message with value, cause and remedy, and the right exit code."""

import os
from pathlib import Path

import pytest
from acceptance.command import chaosfuzz

CASE = """\
chaosfuzz_case: 1
title: a task was accepted and is nowhere
target: {name: reference, defects: []}
contract: at-least-once
signature: {invariant: no_lost_tasks, kind: LOST, role: server}
reproduces: {violations: 20, attempts: 20}
found: {date: 2026-11-23, seed: 1, steps: 3, executions_to_shrink: 9}
workers: 1
steps:
  - create_tasks: {count: 1}
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fuzz", "mars"], ["mars", "reference"]),
        (["fuzz", "--defect", "gremlins"], ["gremlins", "claim-without-lock"]),
        (["fuzz", "--invariant", "honesty"], ["honesty", "no_lost_tasks"]),
        (["fuzz", "--invariants", "nowhere"], ["nowhere"]),
        (["fuzz", "--gremlins"], ["--gremlins"]),
        (["fuzz", "--time", "soon"], ["soon", "10m"]),
        (["fuzz", "--time", "-5s"], ["-5s"]),
        (["fuzz", "--time", "0s"], ["0s"]),
        (["fuzz", "--examples", "0"], ["0"]),
        (["fuzz", "--examples", "many"], ["many"]),
        (["fuzz", "--lanes", "0"], ["0"]),
        (["fuzz", "--seed", "-1"], ["-1"]),
        (["fuzz", "--contract", "best-effort"], ["best-effort", "at-least-once"]),
        (["fuzz", "--json", "nowhere/summary.json"], ["--json", "nowhere", "choose"]),
        (["check-api", "--json", "."], ["--json", "directory", "choose"]),
        (["replay", "no-such-case.yaml"], ["no-such-case.yaml", "chaosfuzz cases"]),
        (["replay"], ["paths"]),
        (["shrink", "no-such-case.yaml"], ["no-such-case.yaml"]),
        (["defects", "mars"], ["mars", "reference"]),
        (["conjure"], ["conjure"]),
    ],
)
def test_unknown_or_out_of_range_is_refused(
    tmp_path: Path, arguments: list[str], said: list[str]
) -> None:
    done = chaosfuzz(tmp_path, *arguments)
    assert done.code == 2, done.out + done.err
    for word in said:
        assert word.lower() in done.err.lower()
    assert not list(tmp_path.rglob("events.jsonl"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ["empty"]),
        (b"\x00\xff\xfe\x80binary", []),
        (CASE.replace("case: 1", "case: 2").encode(), ["2", "newer"]),
        (CASE.replace("create_tasks", "rm_rf").encode(), ["rm_rf", "create_tasks"]),
        (CASE.replace("count: 1", "count: -1").encode(), ["-1", "count"]),
        (CASE.replace("count: 1", "count: yes").encode(), ["count"]),
        (CASE.replace("count: 1", "colour: 1").encode(), ["colour"]),
        (CASE.replace("title: a", "title: !!python/name:os.system a").encode(), ["tag"]),
        (CASE.replace("{count: 1}", "&a {count: 1}\n  - wait: *a").encode(), ["anchor"]),
        (CASE.replace("defects: []", "defects: [gremlins]").encode(), ["gremlins"]),
        (CASE.replace("name: reference", "name: mars").encode(), ["mars"]),
        (CASE.replace("no_lost_tasks", "honesty").encode(), ["honesty"]),
        (b"[" * 5000, []),
        (b"- just\n- a list\n", []),
    ],
)
def test_file_that_is_not_a_case_is_refused(
    tmp_path: Path, content: bytes, said: list[str]
) -> None:
    (tmp_path / "bad.yaml").write_bytes(content)
    done = chaosfuzz(tmp_path, "replay", "bad.yaml")
    assert done.code == 2, done.out + done.err
    assert "bad.yaml" in done.err
    assert len(done.err.strip().splitlines()) <= 6
    for word in said:
        assert word.lower() in done.err.lower()


def test_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    done = chaosfuzz(tmp_path, "fuzz", "--out", "file", "--examples", "1")
    assert done.code == 2
    assert "--out" in done.err
    assert "file" in done.err


def test_missing_postgres_is_said_with_the_remedy(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    done = chaosfuzz(tmp_path, "fuzz", "--examples", "1", CHAOSFUZZ_POSTGRES_BIN=nowhere)
    assert done.code == 3, done.out + done.err
    assert nowhere in done.err
    assert "CHAOSFUZZ_POSTGRES_BIN" in done.err


@pytest.mark.long
def test_full_disk_loses_nothing_that_was_found(tmp_path: Path) -> None:
    if not Path("/dev/full").exists() or os.name != "posix":
        pytest.fail("no /dev/full to stand for a full disk")
    done = chaosfuzz(
        tmp_path,
        *("fuzz", "--defect", "respond-before-commit", "--seed", "2", "--json", "/dev/full"),
    )
    assert done.code == 2, done.out + done.err
    assert "/dev/full" in done.err
    assert list((tmp_path / "shrunk_cases").rglob("*.yaml"))
