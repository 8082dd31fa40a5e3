"""Reads a profile from its file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from chaosfuzz.checked_toml import TomlFile, brief, read_toml
from chaosfuzz.targets.profiles.model import VERSION, Profile

_VERSION_KEY, _BASE_KEY = "chaosfuzz_profile", "extends"


def load_profile(path: Path) -> Profile:
    """Return the profile in a file. The files that it names have to exist.

    With the key `extends` it adds to the profile in that file: keys of the same table replace those
    of the other profile, whose relative paths become relative to this file.

    Raises UsageError if a file is no valid profile; the message names every problem with its line.
    """
    file = _read(path)
    base_name = file.value.get(_BASE_KEY)
    if isinstance(base_name, str):
        base = _read(path.parent / base_name)
        if _BASE_KEY in base.value:
            cause = f"{path} extends this file, which extends another"
            raise base.refuse(((_BASE_KEY,), cause, f"extend a file without {_BASE_KEY}"))
        _validated(base)
        file = replace(file, value=_added(base.value, file.value))
    return _validated(file)


def _added(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    tables = {
        key: {**base[key], **table}
        for key, table in own.items()
        if isinstance(table, dict) and isinstance(base.get(key), dict)
    }
    return {**base, **own, **tables}


def _validated(file: TomlFile) -> Profile:
    directory = file.path.resolve().parent
    context = {"origin": file.path, "directory": directory, "has_server": "server" in file.value}
    return file.read_as(Profile, context)


def _read(path: Path) -> TomlFile:
    """Read a file, and refuse other formats before each of their new keys is called unknown."""
    file = read_toml(path, "a profile", "chaosfuzz profile new writes one")
    version = file.value.get(_VERSION_KEY)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        cause = f"{_VERSION_KEY}={brief(version)} is no version of the format"
        raise file.refuse(((_VERSION_KEY,), cause, f"write {_VERSION_KEY} = {VERSION}"))
    if version > VERSION:
        cause = f"written for a newer chaosfuzz (format {version}, this one reads {VERSION})"
        raise file.refuse(((_VERSION_KEY,), cause, "upgrade chaosfuzz"))
    return file
