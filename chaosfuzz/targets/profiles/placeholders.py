"""Words in braces that stand for what a lane gives a component."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from pydantic import ValidationInfo

from chaosfuzz.domain.errors import WrongValueError

PLACES = (
    "dsn",
    "host",
    "port_db",
    "database",
    "user",
    "password",
    "port",
    "ledger",
    "ledger_url",
    "component",
    "python",
    "node",
    "profile_dir",
    "cache",
)
REQUEST = ("token", "duration_ms", "failures", "priority", "delay_ms")
T = TypeVar("T")
_WORD = re.compile(r"\{([a-z_]+)\}")


def names_in(text: str) -> Iterator[str]:
    """Yield the placeholders of a text. A doubled brace stands for itself."""
    for match in _WORD.finditer(text.replace("{{", "").replace("}}", "")):
        yield match[1]


def words_of(body: object) -> Iterator[str]:
    """Yield the placeholders of a text, or of all texts in a JSON value."""
    if isinstance(body, str):
        yield from names_in(body)
    elif isinstance(body, dict | list):
        for value in body.values() if isinstance(body, dict) else body:
            yield from words_of(value)


def only(*known: str) -> Callable[[T, ValidationInfo], T]:
    """Return a validator that refuses other placeholders, and {port} if there is no server."""

    def check(value: T, info: ValidationInfo) -> T:
        words = tuple(words_of(value))
        unknown = ", ".join(f"{{{word}}}" for word in words if word not in known)
        if unknown:
            there = ", ".join(f"{{{word}}}" for word in known)
            raise WrongValueError(
                f"unknown placeholder {unknown}", f"there are: {there} ({{{{ is a brace)"
            )
        if "port" in words and not (info.context or {}).get("has_server", True):
            raise WrongValueError(
                "{port} is the port of a [server], and there is none", "describe it"
            )
        return value

    return check


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with its placeholders replaced; all of them have to be known."""
    opened, closed = "\x00", "\x01"
    kept = text.replace("{{", opened).replace("}}", closed)
    filled = _WORD.sub(lambda match: values[match[1]], kept)
    return filled.replace(opened, "{").replace(closed, "}")
