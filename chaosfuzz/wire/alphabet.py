"""What a target says to its database in undisturbed runs, and which of it is background."""

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
_ENDED_BADLY = frozenset({"SKIPPED", "CUT"})
# A command tag is never a number alone.
_HTTP_STATUS = re.compile(r"[1-5]\d\d")
_SQLSTATE = re.compile(r"[0-9A-Z]{5}(?<![A-Z]{5})")
# How often a key comes while nothing is to be done before that is taken for its nature.
_IDLE_REPETITIONS = 2


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """One event of a reference run.

    `role` is the component without its number (keys of all workers are one alphabet),
    `completion` the command tag, `is_idle` whether the target had nothing to do then.
    """

    role: str
    key: str
    completion: str
    is_idle: bool


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One key of a role. `counts` has its occurrences by run, `fruitful_counts` those of effect.

    Fruitful is an occurrence that changed or returned a row. A key is background if a fault at
    it says little: housekeeping, pings, HTTP requests that change nothing by their method (such as
    those after health), transaction control without writes, and whatever comes again and again
    while the target is idle, unless it bears fruit only when there is work.
    """

    role: str
    key: str
    counts: tuple[int, ...]
    fruitful_counts: tuple[int, ...]
    idle_counts: tuple[int, ...]
    is_background: bool


def learn(traces: Sequence[Iterable[Sighting]]) -> tuple[Letter, ...]:
    """Learn from reference runs, each given as its sightings in order of their coming.

    The letters are in the order in which they first came.
    """
    runs = [tuple(trace) for trace in traces]
    names = dict.fromkeys((seen.role, seen.key) for run in runs for seen in run)
    return tuple(_letter(role, key, runs) for role, key in names)


def is_fruitful(completion: str) -> bool:
    """Say whether a completion tells of a row changed or returned, or does not tell of rows.

    An HTTP request counts if the server answered and did not fail: with a status below 500.
    """
    if _HTTP_STATUS.fullmatch(completion):
        return int(completion) < _FIRST_SERVER_ERROR
    if completion in _ENDED_BADLY or _SQLSTATE.fullmatch(completion):
        return False
    last = completion.rpartition(" ")[2]
    return not last.isdigit() or int(last) > 0


def is_ping(key: str) -> bool:
    """Say whether a key is a query of nothing, such as SELECT 1."""
    return key.partition(" [")[0] == "SELECT"


def is_housekeeping(key: str) -> bool:
    """Say whether a key is about connections, settings or transactions and writes nothing."""
    words = key.partition(" [")[0].split(" ")
    if words[0] in _TRANSACTION_CONTROL:
        # With a write, the key names it: `COMMIT of UPDATE tasks ...`.
        return len(words) < 2 or words[1] != "of"
    return words[0] in _ALWAYS_BACKGROUND or is_ping(key) or is_safe(key)


def _letter(role: str, key: str, runs: Sequence[Sequence[Sighting]]) -> Letter:
    of_key = [[seen for seen in run if (seen.role, seen.key) == (role, key)] for run in runs]
    idle_counts = tuple(sum(seen.is_idle for seen in run) for run in of_key)
    fruit = [seen for run in of_key for seen in run if is_fruitful(seen.completion)]
    return Letter(
        role=role,
        key=key,
        counts=tuple(map(len, of_key)),
        fruitful_counts=tuple(sum(is_fruitful(seen.completion) for seen in run) for run in of_key),
        idle_counts=idle_counts,
        is_background=is_housekeeping(key)
        or (
            max(idle_counts) >= _IDLE_REPETITIONS
            # A heartbeat changes its row idle or not, a poll finds nothing; a claim that is
            # polled for bears fruit when there is work and only then.
            and (not fruit or any(seen.is_idle for seen in fruit))
        ),
    )
