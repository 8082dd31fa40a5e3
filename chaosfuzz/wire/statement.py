"""The key of an SQL statement: readable, and the same for all values of its parameters."""

import hashlib
import re
from dataclasses import dataclass
from enum import Enum

import pgparse

from chaosfuzz.wire import wording

# Both chosen by hand.
_CACHED_STATEMENTS = 4096
_CACHED_TEXT_BYTES = 16 * 1024
# With the fingerprint a key has at most 80 characters.
_MAXIMUM_HEAD_CHARACTERS = 69
_DIGITS = 8
_VERB = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*([A-Za-z_]+)", re.DOTALL)
_NUMBER = re.compile(rb"(?<![\w$.\"])\d+(?![\w.\"])")
_STRING = re.compile(r"'((?:[^']|'')*)(?:'|$)")
_RELATION = re.compile(r"\b(?:from|into|update|table|join)\s+([\w.\"]+)", re.IGNORECASE)


class TransactionEffect(Enum):
    """What a statement does to the transaction block it runs in."""

    NONE = "none"
    BEGINS = "begins"
    ENDS = "ends"


_EFFECTS = {
    "TRANS_STMT_BEGIN": TransactionEffect.BEGINS,
    "TRANS_STMT_START": TransactionEffect.BEGINS,
    "TRANS_STMT_COMMIT": TransactionEffect.ENDS,
    "TRANS_STMT_ROLLBACK": TransactionEffect.ENDS,
    "TRANS_STMT_PREPARE": TransactionEffect.ENDS,
}


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What all texts have in common that differ in numbers, ids and data only.

    `key` identifies the statement, as `UPDATE tasks SET status='running' [49d0f7f9]`: `head`
    (verb, main relation and short literals) and the first digits of libpg_query's fingerprint.
    The fingerprint alone is the same for all literals. `writes` says whether it may change rows.
    """

    verb: str
    fingerprint: str
    head: str
    key: str
    writes: bool = False
    effect: TransactionEffect = TransactionEffect.NONE


class Classifier:
    """Return the statements of texts, with a cache."""

    def __init__(self) -> None:
        self._known: dict[bytes, Statement] = {}

    def classify(self, text: bytes) -> Statement:
        """Return the statement of a text, which may be incomplete or not be SQL."""
        known = self._known.get(text)
        if known is None:
            # Texts that differ in numbers only are the same statement and are parsed once.
            shape = _NUMBER.sub(b"0", text)
            known = self._known.get(shape)
            if known is None:
                known = describe(shape.decode("utf-8", "replace"))
                self._remember(shape, known)
            if len(shape) == len(text) and shape == text:
                self._remember(text, known)
        return known

    def _remember(self, text: bytes, statement: Statement) -> None:
        if len(text) > _CACHED_TEXT_BYTES:
            return
        if len(self._known) >= _CACHED_STATEMENTS:
            del self._known[next(iter(self._known))]
        self._known[text] = statement


def describe(text: str) -> Statement:
    """Return the statement of a text, without the cache."""
    found = _VERB.match(text)
    verb = found[1].upper() if found else "EMPTY"
    try:
        fingerprint = pgparse.fingerprint(text)[:_DIGITS]
        parsed = pgparse.parse(text)
    except (pgparse.PGQueryError, ValueError, RecursionError):
        return _describe_unparsed(verb, text)
    if not parsed:
        return _statement(verb="EMPTY", head="EMPTY", fingerprint=fingerprint)
    ((kind, body),) = parsed[0]["stmt"].items()
    more = len(parsed) - 1
    return _statement(
        verb=verb,
        head=_head(verb, kind, body) + (f";+{more}" if more else ""),
        fingerprint=fingerprint,
        writes=wording.writes(parsed) or (kind == "SelectStmt" and wording.calls(body)),
        effect=_effect(body) if not more else TransactionEffect.NONE,
    )


def closing_key(closing: Statement, last_write: Statement) -> str:
    """Return the key of a COMMIT or ROLLBACK by the last write of its transaction.

    All COMMITs have the same text, so the write tells them apart.
    """
    return _key(f"{closing.verb} of {last_write.head}", last_write.fingerprint)


def plain(word: str) -> Statement:
    """Return the statement of a request that has no SQL, such as CONNECT."""
    return Statement(verb=word, fingerprint="", head=word, key=word)


def _statement(
    *,
    verb: str,
    head: str,
    fingerprint: str,
    writes: bool = False,
    effect: TransactionEffect = TransactionEffect.NONE,
) -> Statement:
    return Statement(
        verb=verb,
        fingerprint=fingerprint,
        head=head,
        key=_key(head, fingerprint),
        writes=writes,
        effect=effect,
    )


def _key(head: str, fingerprint: str) -> str:
    if len(head) > _MAXIMUM_HEAD_CHARACTERS:
        # The digest tells heads apart that differ behind the cut.
        digest = hashlib.sha1(head.encode(), usedforsecurity=False).hexdigest()[:4]
        head = f"{head[: _MAXIMUM_HEAD_CHARACTERS - 5]}~{digest}"
    return f"{head} [{fingerprint}]"


def _head(verb: str, kind: str, body: wording.Node) -> str:
    # The main statement comes first, its WITH clause last.
    words = [kind.removesuffix("Stmt").upper() if verb == "WITH" else verb]
    beside = body.get("withClause")
    body = {field: part for field, part in body.items() if field != "withClause"}
    relation = wording.main_relation(body)
    if relation:
        words.append(relation)
    rest = body
    if kind == "UpdateStmt":
        assigned = wording.assignments(body)
        if assigned:
            words += ["SET", ", ".join(assigned)]
        rest = {field: part for field, part in body.items() if field != "targetList"}
    compared = list(dict.fromkeys(wording.comparisons(rest)))
    if compared:
        words += ["WHERE"] * ("whereClause" in body) + [", ".join(compared)]
    aside = list(dict.fromkeys(wording.comparisons(beside)))
    if aside:
        words += ["WITH", ", ".join(aside)]
    return " ".join(words)


def _effect(body: wording.Node) -> TransactionEffect:
    if body.get("chain"):
        return TransactionEffect.NONE
    return _EFFECTS.get(str(body.get("kind")), TransactionEffect.NONE)


def _describe_unparsed(verb: str, text: str) -> Statement:
    """Return the statement of a text that the parser refuses: incomplete, or another dialect."""
    words = [word for word in _STRING.findall(text) if wording.is_telling(word)]
    shape = " ".join(_STRING.sub("?", text).split())
    digest = hashlib.sha1(shape.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
    relation = _RELATION.search(text)
    head = [verb, *([relation[1]] if relation else []), *(f"'{word}'" for word in words)]
    return _statement(
        verb=verb,
        head=" ".join(head),
        fingerprint=f"x{digest[: _DIGITS - 1]}",
        writes=verb in ("INSERT", "UPDATE", "DELETE", "MERGE"),
    )
