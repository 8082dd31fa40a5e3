"""Learning an alphabet from reference runs."""

import pytest

from chaosfuzz.wire.alphabet import KeyStatistics, LearnedRequest, had_effect, learn

CLAIM = "UPDATE tasks SET status='running' [11111111]"
COMPLETE = "UPDATE tasks SET status='completed' [22222222]"
HEARTBEAT = "UPDATE workers [33333333]"
SWEEP = "UPDATE tasks SET status='retrying' [44444444]"
COMMIT = "COMMIT [7bbcde9c]"
COMMIT_OF_WRITE = "COMMIT of UPDATE tasks SET status='completed' [22222222]"


def seen(key: str, completion: str = "UPDATE 1", *, idle: bool = False, role: str = "worker"):
    return LearnedRequest(role=role, key=key, completion=completion, is_idle=idle)


def of_key(statistics: tuple[KeyStatistics, ...], key: str) -> KeyStatistics:
    (found,) = (entry for entry in statistics if entry.key == key)
    return found


def run(polls: int) -> list[LearnedRequest]:
    return [
        seen("CONNECT", "", idle=True),
        seen("LISTEN tasks [6e5bf26e]", "LISTEN", idle=True),
        seen("SELECT [50fde206]", "SELECT 1", idle=True),
        *[seen(CLAIM, "UPDATE 0", idle=True)] * polls,
        *[seen(SWEEP, "UPDATE 0", idle=True)] * polls,
        *[seen(HEARTBEAT, idle=True)] * polls,
        seen(CLAIM),
        seen(HEARTBEAT),
        seen(COMMIT, "COMMIT"),
        seen(COMPLETE),
        seen(COMMIT_OF_WRITE, "COMMIT"),
    ]


def test_what_matters_is_told_from_background():
    statistics = learn([run(2), run(3)])
    foreground = [entry.key for entry in statistics if not entry.is_background]
    assert foreground == [CLAIM, COMPLETE, COMMIT_OF_WRITE]


def test_counts_are_by_run():
    claim = of_key(learn([run(2), run(3)]), CLAIM)
    assert claim.effect_counts == (1, 1)
    assert claim.idle_counts == (2, 3)


def test_a_key_missing_in_one_run_counts_none_there():
    assert of_key(learn([[seen(COMPLETE)], []]), COMPLETE).effect_counts == (1, 0)


def test_a_key_that_comes_once_while_idle_is_not_background():
    assert not learn([[seen(SWEEP, "UPDATE 0", idle=True)]])[0].is_background


def test_the_same_key_of_two_roles_is_two_keys():
    statistics = learn([[seen(CLAIM), seen(CLAIM, role="server")]])
    assert [entry.role for entry in statistics] == ["worker", "server"]


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("UPDATE 1", True),
        ("INSERT 0 1", True),
        ("SELECT 0", False),
        ("UPDATE 0", False),
        ("COMMIT", True),
        ("", True),
        ("23505", False),
        ("57P01", False),
        ("SKIPPED", False),
        ("CUT", False),
    ],
)
def test_an_effect_is_a_row_changed_or_returned(completion: str, expected: bool):
    assert had_effect(completion) is expected
