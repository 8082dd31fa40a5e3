"""TOML with the lines that its keys stand on."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaosfuzz.domain.errors import UsageError

MAX_BYTES = 128 * 1024
_HEADER = re.compile(r"\s*\[(\[)?\s*([^\]\[]+?)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A file's value and text."""

    origin: Path
    value: dict[str, Any]
    text: str

    def refuse(self, cause: str, remedy: str, place: Place = ()) -> UsageError:
        """Return the error for a problem at a place in the document."""
        where = f"{self.origin}:{line_of(self.text, place)}"
        return UsageError(cause=f"{where}: {cause}", remedy=remedy)


def read(path: Path) -> Document:
    """Return what a TOML file holds; raises UsageError with file, line, cause and remedy."""
    remedy = "chaosfuzz profile new writes one"
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        cause = (error.strerror if isinstance(error, OSError) else None) or error
        raise UsageError(
            cause=f"{path}: cannot be read: {cause}",
            remedy=f"give the path of a profile, or {remedy}",
        ) from error
    if len(content) > MAX_BYTES:
        message = (
            f"{path}:1: not a profile: over {MAX_BYTES} bytes, but a profile has a few dozen lines"
        )
        raise UsageError(cause=message, remedy="give the path of a profile")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            cause=f"{path}:{line}: not a profile: it is not text in UTF-8", remedy=remedy
        ) from error
    try:
        return Document(path, tomllib.loads(text), text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise UsageError(
            cause=f"{path}:{line}: not TOML: {error}", remedy="correct the line"
        ) from error


def line_of(text: str, place: Place) -> int:
    """Return the line (from 1) of a place, or of the nearest table or key around it."""
    names = [str(part) for part in place if isinstance(part, str)]
    index = next((part for part in place if isinstance(part, int)), 0)
    best, depth = 1, 0
    table: list[str] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            table = _parts(header[2])
            counts[header[2]] = counts.get(header[2], -1) + 1
            if header[1] and names[: len(table)] == table and counts[header[2]] != index:
                table = ["", *table]
            found = table
        elif key := _KEY.match(line):
            found = [*table, *_parts(key[1])]
        else:
            continue
        if len(found) > depth and names[: len(found)] == found:
            best, depth = number, len(found)
    return best


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
