"""Learn from undisturbed runs which requests a target makes, and which of them are background."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaosfuzz.wire.http_key import is_safe

_ALWAYS_BACKGROUND = frozenset(
    {
        *("CONNECT", "CANCEL", "LISTEN", "UNLISTEN", "SET", "RESET", "SHOW", "DISCARD"),
        *("DEALLOCATE", "EMPTY", "PREPARE", "CLOSE"),
    }
)
_TRANSACTION_CONTROL = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"}
)
_FIRST_SERVER_ERROR = 500
_WITHOUT_REPLY = frozenset({"SKIPPED", "CUT"})
# A command tag is never a number alone.
_HTTP_STATUS = re.compile(r"[1-5]\d\d")
# Five letters, as in BEGIN, are a command tag.
_SQLSTATE = re.compile(r"[0-9A-Z]{5}(?<![A-Z]{5})")
# Chosen by hand: a request that comes twice in one run while the target is idle comes periodically.
_IDLE_REPETITIONS = 2


@dataclass(frozen=True, kw_only=True)
class LearnedRequest:
    """One request of an undisturbed run.

    `role` is the component's name without its number. `is_idle` says whether the target had no
    task to run when the request came.
    """

    role: str
    key: str
    completion: str
    is_idle: bool


@dataclass(frozen=True, kw_only=True)
class KeyStatistics:
    """How often the requests of one role with one key came, in each run.

    `effect_counts` counts the requests that had an effect, `idle_counts` those that came while
    the target was idle. `is_background` says that a fault at such a request tests little.
    """

    role: str
    key: str
    effect_counts: tuple[int, ...]
    idle_counts: tuple[int, ...]
    is_background: bool


def learn(runs: Sequence[Sequence[LearnedRequest]]) -> tuple[KeyStatistics, ...]:
    """Return statistics of each key, in the order in which the keys first came."""
    names = dict.fromkeys((request.role, request.key) for run in runs for request in run)
    return tuple(_statistics(role, key, runs) for role, key in names)


def had_effect(completion: str) -> bool:
    """Say whether a request that ended so had an effect.

    An SQL statement had one if it changed or returned a row, or if its command tag has no number
    of rows. An HTTP request had one if its status is below 500. A request that ended with an
    SQLSTATE, and one that was skipped or cut, had none.
    """
    if _HTTP_STATUS.fullmatch(completion):
        return int(completion) < _FIRST_SERVER_ERROR
    if completion in _WITHOUT_REPLY or _SQLSTATE.fullmatch(completion):
        return False
    last = completion.rpartition(" ")[2]
    return not last.isdigit() or int(last) > 0


def is_housekeeping(key: str) -> bool:
    """Say whether a request with this key can change no task, whatever its data is.

    Such requests are about connections, settings and listening, a query of no table (SELECT 1),
    the control of a transaction that wrote nothing, and an HTTP request with a safe method.
    """
    words = key.partition(" [")[0].split(" ")
    if words[0] in _TRANSACTION_CONTROL:
        # With a write, the key names it: `COMMIT of UPDATE tasks ...`.
        return len(words) < 2 or words[1] != "of"
    return words[0] in _ALWAYS_BACKGROUND or words == ["SELECT"] or is_safe(key)


def _statistics(role: str, key: str, runs: Iterable[Sequence[LearnedRequest]]) -> KeyStatistics:
    of_key = [[each for each in run if (each.role, each.key) == (role, key)] for run in runs]
    idle_counts = tuple(sum(each.is_idle for each in run) for run in of_key)
    effective = [[each for each in run if had_effect(each.completion)] for run in of_key]
    is_periodic = max(idle_counts) >= _IDLE_REPETITIONS
    # A claim is periodic too, but it has an effect only when there is a task to claim. A
    # heartbeat has an effect while the target is idle, and a look for expired leases never.
    is_claim = any(effective) and not any(each.is_idle for run in effective for each in run)
    return KeyStatistics(
        role=role,
        key=key,
        effect_counts=tuple(map(len, effective)),
        idle_counts=idle_counts,
        is_background=is_housekeeping(key) or (is_periodic and not is_claim),
    )
