"""Words in braces that stand for what a lane gives a component."""

import re
from collections.abc import Iterator, Mapping

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
_WORD = re.compile(r"\{([a-z_]+)\}")


def names_in(text: str) -> Iterator[str]:
    """Yield the placeholders of a text. A doubled brace stands for itself."""
    for match in _WORD.finditer(text.replace("{{", "").replace("}}", "")):
        yield match[1]


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with its placeholders replaced; all of them have to be known."""
    opened, closed = "\x00", "\x01"
    kept = text.replace("{{", opened).replace("}}", closed)
    filled = _WORD.sub(lambda match: values[match[1]], kept)
    return filled.replace(opened, "{").replace(closed, "}")
