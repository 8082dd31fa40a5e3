"""The saved cases of the reference system, without their defects.

That each is violated with its defect is what the plugin checks when it collects them.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chaosfuzz.campaign.replay import replay_on
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cases import CaseStore
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import Runner
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.reporting.eventlog import EventLog
from chaosfuzz.targets.registry import describe

STORE = CaseStore(Path(__file__).parents[2] / "shrunk_cases" / "reference")
TRIES, HOLDING = 4, 2


@pytest.fixture(scope="module")
def correct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    directory = tmp_path_factory.mktemp("correct")
    with (
        closing(EventLog(directory / "events.jsonl")) as journal,
        closing(Setup().runner(0, directory, journal, StopSignal())) as runner,
    ):
        yield runner


def test_every_defect_has_a_case_of_at_most_eight_steps() -> None:
    cases = [STORE.load(path) for path in STORE.find()]
    planted = {name for case in cases for name in case.defects}
    assert planted == {defect.name for defect in describe("reference").defects}
    assert all(len(case.schedule.steps) <= 8 for case in cases)
    assert all(case.expect == "violated" for case in cases)


@pytest.mark.long
@pytest.mark.parametrize("path", STORE.find(), ids=lambda path: path.stem)
def test_correct_system_holds_what_the_defect_breaks(path: Path, correct: Runner) -> None:
    case = STORE.load(path)
    held = 0
    for attempt in replay_on(correct, case, TRIES, until_violated=False):
        assert attempt.result.failure is None, attempt.result
        # A machine that stood still for a while leaves a run undecided.
        held += attempt.result.verdict is Verdict.HOLDS
        if held == HOLDING:
            return
    pytest.fail(f"only {held} of {TRIES} runs held, the others are undecided")
