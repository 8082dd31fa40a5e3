"""Reads a profile from its file."""

from pathlib import Path

from chaosfuzz.checked_toml import TomlFile, brief, read_toml
from chaosfuzz.targets.profiles.model import VERSION, Profile


def load_profile(path: Path) -> Profile:
    """Return the profile in a file.

    Raises:
        UsageError: it is no profile; the message names all that is wrong, with file and line.

    """
    file = read_toml(path, "a profile", "chaosfuzz profile new writes one")
    _check_version(file)
    directory = path.resolve().parent
    context = {"origin": path, "directory": directory, "has_server": "server" in file.value}
    return file.read_as(Profile, context)


def _check_version(file: TomlFile) -> None:
    """Refuse another format before anything else, as its keys would all be called unknown."""
    key = "chaosfuzz_profile"
    version = file.value.get(key)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        message = f"{key}={brief(version)} is no version"
        raise file.refuse(((key,), message, f"write {VERSION}"))
    if version > VERSION:
        message = f"made for a newer chaosfuzz (format {version})"
        raise file.refuse(((key,), message, "upgrade chaosfuzz"))
