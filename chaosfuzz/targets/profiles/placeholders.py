"""Placeholders: words in braces in a profile, which chaosfuzz replaces by values."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from pydantic import ValidationInfo

from chaosfuzz.domain.errors import WrongValueError

# Values that a lane gives a component.
COMPONENT_VALUES = (
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
# Values of a task that is to be created.
REQUEST_VALUES = ("token", "duration_ms", "failures", "priority", "delay_ms")
T = TypeVar("T")
_WORD = re.compile(r"\{([a-z_]+)\}")


def placeholders_in(body: object) -> Iterator[str]:
    """Yield the names in a text, or in all texts of a JSON value. {{ and }} are plain braces."""
    if isinstance(body, str):
        for match in _WORD.finditer(body.replace("{{", "").replace("}}", "")):
            yield match[1]
    elif isinstance(body, dict | list):
        for value in body.values() if isinstance(body, dict) else body:
            yield from placeholders_in(value)


def only(*known: str) -> Callable[[T, ValidationInfo], T]:
    """Return a validator of pydantic that refuses every placeholder that is not named here.

    It also refuses {port} if the validation's context says has_server = False.
    """

    def check(value: T, info: ValidationInfo) -> T:
        names = tuple(placeholders_in(value))
        unknown = ", ".join(f"{{{name}}}" for name in names if name not in known)
        if unknown:
            allowed = ", ".join(f"{{{name}}}" for name in known)
            raise WrongValueError(
                f"unknown placeholder {unknown}", f"use one of: {allowed} ({{{{ is a brace)"
            )
        if "port" in names and not (info.context or {}).get("has_server", True):
            raise WrongValueError(
                "{port} is the port of a [server], and there is none",
                "describe the [server], or remove {port}",
            )
        return value

    return check


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with placeholders replaced, and {{ and }} as plain braces.

    Raises KeyError if `values` lacks a placeholder.
    """
    opened, closed = "\x00", "\x01"
    marked = text.replace("{{", opened).replace("}}", closed)
    filled = _WORD.sub(lambda match: values[match[1]], marked)
    return filled.replace(opened, "{").replace(closed, "}")
