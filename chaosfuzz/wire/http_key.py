"""The key of an HTTP request: its method and the template of its path."""

import hashlib
import re

from chaosfuzz.wire.statement import Statement

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# Room for the method within the longest event of a moment.
_MAXIMUM_PATH_CHARACTERS = 150
_ID = re.compile(
    r"\d+|[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def path_template(target: str) -> str:
    """Return a request target's path with `{id}` for numbers and UUIDs, without its query.

    A character that cannot be printed becomes `?`. A path longer than 150 characters is cut off
    and ends with a digest of the whole.
    """
    path = re.split(r"[?#]", _ORIGIN.sub("", target, count=1), maxsplit=1)[0] or "/"
    segments = ("{id}" if _ID.fullmatch(segment) else segment for segment in path.split("/"))
    template = "".join(letter if letter.isprintable() else "?" for letter in "/".join(segments))
    if len(template) > _MAXIMUM_PATH_CHARACTERS:
        digest = hashlib.sha1(template.encode(), usedforsecurity=False).hexdigest()[:4]
        template = f"{template[: _MAXIMUM_PATH_CHARACTERS - 5]}~{digest}"
    return template


def describe(method: str, target: str) -> Statement:
    """Return the statement of a request, with a key such as `POST /tasks/{id}`."""
    key = f"{method} {path_template(target)}"
    return Statement(
        verb=method, fingerprint="", head=key, key=key, writes=method not in SAFE_METHODS
    )


def is_safe(key: str) -> bool:
    """Say whether a key is that of an HTTP request with a safe method (RFC 9110, 9.2.1)."""
    return key.partition(" ")[0] in SAFE_METHODS
