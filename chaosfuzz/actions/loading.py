"""The user's own actions: files in `actions/` of the current directory, and entry points."""

import re
from importlib.metadata import entry_points
from pathlib import Path

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.user_file import import_file

OWN_DIRECTORY = Path("actions")
ENTRY_POINTS = "chaosfuzz.actions"
# A directory of this name may hold other files, too; they are not imported.
_IMPORTS_ACTIONS = re.compile(r"^\s*(from|import)\s+chaosfuzz\.actions\b", re.MULTILINE)


def import_own_actions(directory: Path | None = None) -> None:
    """Import the files and modules that register a user's own actions.

    These are every Python file in `directory` (default: `actions/` of the current directory) that
    imports `chaosfuzz.actions`, and every module named by an entry point of the group
    `chaosfuzz.actions`. Raises UsageError if one of them cannot be imported.
    """
    own = directory or Path.cwd() / OWN_DIRECTORY
    for path in sorted(own.glob("*.py")) if own.is_dir() else ():
        if _IMPORTS_ACTIONS.search(path.read_text(encoding="utf-8", errors="replace")):
            import_file(path, "action")
    for point in entry_points(group=ENTRY_POINTS):
        try:
            point.load()
        except (Exception, SystemExit) as error:
            raise UsageError(
                cause=f"entry point {point.name} of {ENTRY_POINTS} cannot be loaded: {error}",
                remedy=f"correct or uninstall the package that has it ({point.value})",
            ) from error
