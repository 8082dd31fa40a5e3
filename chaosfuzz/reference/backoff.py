"""The backoff between the attempts of a task."""

from collections.abc import Mapping
from typing import Any

from chaosfuzz.reference.settings import DAY_MS, Settings

STRATEGIES = ("exponential", "linear", "fixed", "none")
OPTIONS = ("base_ms", "cap_ms")


def strategy_problem(strategy: Mapping[str, Any]) -> str | None:
    """Return the first mistake in a retry strategy as a sentence, or None."""
    if not strategy.keys() <= {"kind", *OPTIONS}:
        return f"retry_strategy takes kind, {' and '.join(OPTIONS)}"
    if strategy.get("kind", "exponential") not in STRATEGIES:
        return f"retry_strategy.kind must be one of {', '.join(STRATEGIES)}"
    for name in OPTIONS:
        value = strategy.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= DAY_MS:
            return f"retry_strategy.{name} must be a whole number from 0 to {DAY_MS} (a day)"
    return None


def backoff_ms(strategy: Mapping[str, Any], attempt: int, settings: Settings) -> int | None:
    """Return the backoff in ms after a failed attempt (1 is the first), None for no retry.

    Options that the strategy leaves out come from the settings. The exponent stops at 40.
    """
    base_ms = int(strategy.get("base_ms", settings.backoff_ms))
    cap_ms = int(strategy.get("cap_ms", settings.backoff_cap_ms))
    kind = strategy.get("kind", "exponential")
    if kind == "none":
        return None
    if kind == "fixed":
        return min(base_ms, cap_ms)
    if kind == "linear":
        return min(base_ms * attempt, cap_ms)
    return int(min(base_ms * 2 ** min(attempt - 1, 40), cap_ms))
