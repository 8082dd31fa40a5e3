"""Minutes of fuzzing: no false alarm on the correct system, and every defect found."""

from pathlib import Path

import pytest
from acceptance.command import chaosfuzz

from chaosfuzz.targets.registry import describe

pytestmark = pytest.mark.long

DEFECTS = [defect.name for defect in describe("reference").defects]
# Windows that only a moment reaches, each struck by a sweep.
SWEPT = (
    "effect-then-complete-in-two-commits",
    "commit-reply-lost-reruns",
    "heartbeat-revives-lost-lease",
    "claim-two-statements",
    "result-written-after-lease-lost-by-late-commit",
    "retry-counts-twice-on-lost-reply",
    "cut-connection-forgets-task",
    "transaction-left-open-after-error",
)


def planted(defect: str) -> tuple[str, ...]:
    has_effects = defect == "effect-then-complete-in-two-commits"
    contract = "exactly-once-effect" if has_effects else "at-least-once"
    return ("--defect", defect, "--contract", contract)


@pytest.mark.parametrize(("seed", "moments"), [("1001", "clock"), ("1002", "both")])
def test_correct_system_holds_over_many_schedules(tmp_path: Path, seed: str, moments: str) -> None:
    many = ("--examples", "120", "--seed", seed, "--moments", moments)
    done = chaosfuzz(tmp_path, "fuzz", *many, "--json", "-")
    assert done.code == 0, done.err
    assert done.json["schedules"] == 120


def test_correct_system_holds_exactly_once(tmp_path: Path) -> None:
    contract = ("--contract", "exactly-once-effect")
    done = chaosfuzz(tmp_path, "fuzz", *contract, "--examples", "60", "--seed", "1003")
    assert done.code == 0, done.out + done.err


@pytest.mark.parametrize("defect", DEFECTS)
def test_defect_is_found(tmp_path: Path, defect: str) -> None:
    limits = ("--time", "120s", "--seed", "4", "--no-shrink")
    done = chaosfuzz(tmp_path, "fuzz", *planted(defect), *limits, "--json", "-")
    assert done.code == 1, done.err
    assert done.json["verdict"] == "violated"


@pytest.mark.parametrize("defect", SWEPT)
def test_defect_of_a_moment_is_swept_up(tmp_path: Path, defect: str) -> None:
    done = chaosfuzz(tmp_path, "sweep", *planted(defect), "--json", "-")
    assert done.code == 1, done.err
    assert done.json["verdict"] == "violated"
