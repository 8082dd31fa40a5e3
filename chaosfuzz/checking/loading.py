"""Loads invariants: the built-in ones, and those in the files of a user's directory."""

from collections.abc import Sequence
from pathlib import Path

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.user_file import import_file
from chaosfuzz.domain.verdict import Invariant

OWN_DIRECTORY = Path("invariants")


def builtin_directory() -> Path:
    """Return the directory of the built-in invariants: in the package, in a checkout beside it."""
    package = Path(__file__).parents[1]
    installed = package / "builtin_invariants"
    return installed if installed.is_dir() else package.parent / "invariants"


def default_directories(extra: Path | None = None) -> tuple[Path, ...]:
    """Return the directories to load: the built-in one, then the user's.

    The user's is `extra`. If that is None, it is `invariants/` in the working directory, if there
    is one. Raises UsageError if `extra` is no directory or holds no Python file.
    """
    if extra is None:
        own = Path.cwd() / OWN_DIRECTORY
        return (builtin_directory(), own) if own.is_dir() else (builtin_directory(),)
    if not extra.is_dir():
        raise UsageError(
            cause=f"{extra}: there is no such directory of invariants",
            remedy="name one that exists",
        )
    if not _files(extra):
        message = f"{extra}: holds no invariants"
        raise UsageError(cause=message, remedy="put a .py file with @invariant(kind=...) there")
    return (builtin_directory(), extra)


def load_invariants(directories: Sequence[Path]) -> tuple[Invariant, ...]:
    """Load every invariant of the directories.

    A file replaces the file of the same name in an earlier directory. Raises UsageError for a file
    that cannot be imported or defines no invariant. Raises it also for two invariants of one name
    in files of different names, because their failures would have the same signature.
    """
    files: dict[str, Path] = {}
    for directory in directories:
        files.update({path.name: path for path in _files(directory)})
    found: dict[str, tuple[Invariant, Path]] = {}
    for path in files.values():
        for invariant in _load_file(path):
            if invariant.name in found:
                raise UsageError(
                    cause=(
                        f"{path}: invariant {invariant.name!r} is already in "
                        f"{found[invariant.name][1]}"
                    ),
                    remedy="rename one (a file of the same name replaces it)",
                )
            found[invariant.name] = (invariant, path)
    return tuple(invariant for invariant, _ in found.values())


def _files(directory: Path) -> list[Path]:
    return sorted(p for p in directory.glob("*.py") if not p.name.startswith("_") and p.is_file())


def _load_file(path: Path) -> tuple[Invariant, ...]:
    module = import_file(path, "invariant")
    invariants = {id(v): v for v in vars(module).values() if isinstance(v, Invariant)}
    if not invariants:
        message = f"{path}: defines no invariant"
        raise UsageError(cause=message, remedy="decorate a function with @invariant(kind=...)")
    return tuple(invariants.values())
