"""How long a failed task waits."""

import pytest

from chaosfuzz.reference.backoff import backoff_ms, strategy_problem
from chaosfuzz.reference.settings import Settings

SETTINGS = Settings(dsn="host=x", backoff_ms=1000, backoff_cap_ms=300_000)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({}, [1000, 2000, 4000, 8000]),
        ({"kind": "exponential", "base_ms": 10}, [10, 20, 40, 80]),
        ({"kind": "exponential", "base_ms": 10, "cap_ms": 25}, [10, 20, 25, 25]),
        ({"kind": "linear", "base_ms": 10}, [10, 20, 30, 40]),
        ({"kind": "linear", "base_ms": 10, "cap_ms": 25}, [10, 20, 25, 25]),
        ({"kind": "fixed", "base_ms": 10}, [10, 10, 10, 10]),
        ({"kind": "fixed"}, [1000, 1000, 1000, 1000]),
        ({"kind": "none", "base_ms": 10}, [None, None, None, None]),
    ],
)
def test_wait_after_each_attempt(strategy: dict[str, object], expected: list[int | None]):
    assert [backoff_ms(strategy, attempt, SETTINGS) for attempt in (1, 2, 3, 4)] == expected


def test_exponential_backoff_never_overflows():
    assert backoff_ms({}, 10_000, SETTINGS) == 300_000


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({"kind": "sometimes"}, "must be one of exponential, linear, fixed, none"),
        ({"kind": None}, "must be one of"),
        ({"base_ms": -1}, "base_ms must be a whole number"),
        ({"base_ms": True}, "base_ms must be a whole number"),
        ({"cap_ms": 10**30}, "cap_ms must be a whole number"),
        ({"kind": "fixed", "jitter": 1}, "takes kind, base_ms and cap_ms"),
    ],
)
def test_bad_strategies_are_named(strategy: dict[str, object], expected: str):
    assert expected in str(strategy_problem(strategy))


def test_good_strategies_have_no_problem():
    assert strategy_problem({"kind": "linear", "base_ms": 0, "cap_ms": 86_400_000}) is None
