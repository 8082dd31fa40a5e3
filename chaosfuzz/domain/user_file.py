"""Imports a Python file of a user."""

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from chaosfuzz.domain.errors import UsageError


def import_file(path: Path, kind: str) -> ModuleType:
    """Execute a Python file and return its module, whose name contains `kind`.

    Raises UsageError, with the line, if the file cannot be imported.
    """
    name = f"chaosfuzz_{kind}_{path.stem.replace('-', '_')}_{abs(hash(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, path
    assert spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        message = f"{path}:{_line(error, path)}: cannot be imported: {_cause(error)}"
        raise UsageError(cause=message, remedy="correct that line") from error
    return module


def _line(error: BaseException, path: Path) -> int:
    """Return the line of the file that an error comes from."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == str(path) and f.lineno), 1)


def _cause(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg}"
    return traceback.format_exception_only(error)[-1].strip()
