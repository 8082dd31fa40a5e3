"""Finds invariants: the built-in ones, and files dropped into `invariants/`."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import chaosfuzz
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.verdict import Invariant


def builtin_directory() -> Path:
    """Return where the built-in invariants are: in the package, or beside it in a checkout."""
    package = Path(chaosfuzz.__file__).parent
    installed = package / "builtin_invariants"
    return installed if installed.is_dir() else package.parent / "invariants"


def load_invariants(directories: Sequence[Path]) -> tuple[Invariant, ...]:
    """Load every invariant of the directories; one of the same name replaces an earlier one.

    Raises UsageError for a file that cannot be imported or defines no invariant.
    """
    found: dict[str, Invariant] = {}
    seen: set[Path] = set()
    for directory in directories:
        for path in sorted(directory.glob("*.py")):
            if path.name.startswith("_") or path.resolve() in seen:
                continue
            seen.add(path.resolve())
            for invariant in _load_file(path):
                found[invariant.name] = invariant
    return tuple(found.values())


def default_directories(extra: Path | None = None) -> tuple[Path, ...]:
    """Return the built-in directory and `invariants/` of the current one (or `extra`)."""
    return (builtin_directory(), extra if extra is not None else Path.cwd() / "invariants")


def _load_file(path: Path) -> tuple[Invariant, ...]:
    name = f"chaosfuzz_invariant_{path.stem}_{abs(hash(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        message = f"{path}: cannot be imported as Python; give it a .py file that defines one"
        raise UsageError(message)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        message = f"{path}: cannot be imported: {type(error).__name__}: {error}; mend the file"
        raise UsageError(message) from error
    invariants = tuple(v for v in vars(module).values() if isinstance(v, Invariant))
    if not invariants:
        message = f"{path}: defines no invariant; decorate a function with @invariant(kind=...)"
        raise UsageError(message)
    return invariants
