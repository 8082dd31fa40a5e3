import json

import pytest

from chaosfuzz.domain.verdict import Verdict


def test_the_worst_of_several_counts():
    assert Verdict.worst() is Verdict.HOLDS
    assert Verdict.worst(Verdict.UNKNOWN, Verdict.HOLDS) is Verdict.UNKNOWN
    assert Verdict.worst(Verdict.UNKNOWN, Verdict.INFRASTRUCTURE) is Verdict.INFRASTRUCTURE
    assert Verdict.worst(Verdict.VIOLATED, Verdict.INFRASTRUCTURE) is Verdict.VIOLATED


@pytest.mark.parametrize(
    ("violated", "failed", "undecided", "verdict", "exit_code"),
    [
        (False, False, False, Verdict.HOLDS, 0),
        (False, False, True, Verdict.UNKNOWN, 3),
        (False, True, True, Verdict.INFRASTRUCTURE, 3),
        (True, True, True, Verdict.VIOLATED, 1),
    ],
)
def test_a_run_is_as_good_as_the_worst_of_it(
    violated: bool, failed: bool, undecided: bool, verdict: Verdict, exit_code: int
):
    concluded = Verdict.conclude(violated=violated, failed=failed, undecided=undecided)
    assert concluded is verdict
    assert concluded.exit_code == exit_code


def test_json_has_the_plain_words():
    words = json.loads(json.dumps(list(Verdict)))
    assert words == ["holds", "unknown", "infrastructure", "violated"]
