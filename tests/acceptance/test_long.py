"""Minutes of fuzzing: no false alarm on the correct system, and every defect found."""

from pathlib import Path

import pytest
from acceptance.command import chaosfuzz

from chaosfuzz.campaign.wiring import describe

pytestmark = pytest.mark.long

DEFECTS = [defect.name for defect in describe("reference").defects]


@pytest.mark.parametrize("seed", ["1001", "1002"])
def test_correct_system_holds_over_many_schedules(tmp_path: Path, seed: str) -> None:
    done = chaosfuzz(tmp_path, "fuzz", "--examples", "120", "--seed", seed, "--json", "-")
    assert done.code == 0, done.err
    assert done.json["schedules"] == 120


def test_correct_system_holds_exactly_once(tmp_path: Path) -> None:
    contract = ("--contract", "exactly-once-effect")
    done = chaosfuzz(tmp_path, "fuzz", *contract, "--examples", "60", "--seed", "1003")
    assert done.code == 0, done.out + done.err


@pytest.mark.parametrize("defect", DEFECTS)
def test_defect_is_found(tmp_path: Path, defect: str) -> None:
    limits = ("--time", "120s", "--seed", "4", "--no-shrink")
    done = chaosfuzz(tmp_path, "fuzz", "--defect", defect, *limits, "--json", "-")
    assert done.code == 1, done.err
    assert done.json["verdict"] == "violated"
