"""Saves and loads cases in a directory with a folder for each target."""

import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from chaosfuzz.cases.codec import dump_case, load_case, rename_moments
from chaosfuzz.cases.plainyaml import MAX_BYTES
from chaosfuzz.domain.action import Role
from chaosfuzz.domain.case import Case
from chaosfuzz.domain.errors import InfrastructureError, UsageError

# Chosen by hand.
MAX_SAME_NAME = 1000
MAX_SLUG = 80


class CaseStore:
    """Saves and finds cases below a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def save(self, case: Case) -> Path:
        """Write a case and return its path.

        A saved case with the same schedule, signature and defects is replaced, no other. The file
        appears whole or not at all. Raises InfrastructureError if it cannot be written (disk full,
        no permission); the message contains the case.
        """
        folder = self.directory / _slug(case.target)
        text = dump_case(case)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _written(folder, text) as temporary:
                return self._place(temporary, folder, case)
        except OSError as error:
            raise InfrastructureError(
                cause=(
                    f"cannot save the case below {folder}: {error.strerror or error}. The case "
                    f"was:\n{text}"
                ),
                remedy="free space or choose another directory with --cases",
            ) from error

    def rename(self, path: Path, names: Mapping[str, str]) -> None:
        """Rename the events of a case's moments in its file; see rename_moments.

        The file changes as a whole or not at all. Raises UsageError if it is not a case, and
        InfrastructureError if it cannot be written.
        """
        text = rename_moments(_read_text(path), str(path), names)
        try:
            with _written(path.parent, text) as temporary:
                temporary.chmod(path.stat().st_mode)
                temporary.replace(path)
        except OSError as error:
            raise InfrastructureError(
                cause=f"cannot write {path}: {error.strerror or error}; the file is unchanged",
                remedy="free space, or give yourself the right to write there",
            ) from error

    def load(self, path: Path) -> Case:
        """Read a case; raises UsageError if it is missing or not a case."""
        return load_case(_read_text(path), str(path))

    def find(self) -> list[Path]:
        """Return the paths of all `*.yaml` files below the directory, sorted."""
        return sorted(path for path in self.directory.glob("**/*.yaml") if path.is_file())

    def _place(self, temporary: Path, folder: Path, case: Case) -> Path:
        for path in _names(folder, case):
            try:
                # A link, unlike a rename, never replaces a file that another process has saved.
                path.hardlink_to(temporary)
            except FileExistsError:
                if not self._holds(path, case):
                    continue
                temporary.replace(path)
            except OSError:
                # The file system has no links. If it cannot be written at all, `replace` raises.
                if path.exists() and not self._holds(path, case):
                    continue
                temporary.replace(path)
            return path
        raise InfrastructureError(
            cause=f"{folder}: {MAX_SAME_NAME} cases have the same name, so no other can be saved",
            remedy="remove some of them, or choose another directory with --cases",
        )

    def _holds(self, path: Path, case: Case) -> bool:
        """Say whether a file holds a case with the same schedule, signature and defects."""
        try:
            known = self.load(path)
        except UsageError:
            return False
        return (known.schedule, known.signature, known.defects) == (
            case.schedule,
            case.signature,
            case.defects,
        )


def resolve(arguments: Sequence[Path]) -> list[Path]:
    """Return the files and, for directories, the cases below them, each once.

    Raises UsageError if an argument does not exist, or if there is no case at all.
    """
    found: dict[Path, None] = {}
    for argument in arguments:
        try:
            if argument.is_dir():
                found.update(dict.fromkeys(CaseStore(argument).find()))
                continue
            # An existing path that is no case is refused later, by `load`.
            argument.stat()
        except (OSError, ValueError) as error:
            cause = str((error.strerror if isinstance(error, OSError) else None) or error)
            raise UsageError(
                cause=f"{argument}: {cause.lower()}",
                remedy="choose a case that `chaosfuzz cases` lists",
            ) from error
        found[argument] = None
    if not found:
        raise UsageError(
            cause=f"{', '.join(map(str, arguments))}: no cases there",
            remedy="give a case file, or a directory that holds some",
        )
    return list(found)


@contextmanager
def _written(folder: Path, text: str) -> Iterator[Path]:
    """Write a text to a temporary file in `folder`, flush it to the disk, and yield its path.

    Afterwards the file is removed, unless the caller has renamed it.
    """
    temporary = folder / f".{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("x", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _read_text(path: Path) -> str:
    remedy = "give the path of a case file"
    try:
        if path.exists() and not path.is_file():
            raise UsageError(cause=f"{path}: not a file", remedy=remedy)
        with path.open("rb") as stream:
            # One byte more than is allowed, so that a huge file is refused without being read.
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        cause = (error.strerror if isinstance(error, OSError) else None) or error
        raise UsageError(cause=f"{path}: cannot be read: {cause}", remedy=remedy) from error
    if len(content) > MAX_BYTES:
        raise UsageError(cause=f"{path}:1: not a case: over {MAX_BYTES} bytes", remedy=remedy)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            cause=f"{path}:{line}: not a case: it is not text in UTF-8", remedy=remedy
        ) from error


def _names(folder: Path, case: Case) -> Iterator[Path]:
    """Yield the paths a case may have: its kind, then its defects or else its faults, -2, -3..."""
    actions = (step.kind for step in case.schedule.steps)
    faults = dict.fromkeys(a.name for a in actions if a.role is Role.FAULT)
    slug = _slug("-".join((case.signature.kind, *(case.defects or faults))))
    yield folder / f"{slug}.yaml"
    for number in range(2, MAX_SAME_NAME + 1):
        yield folder / f"{slug}-{number}.yaml"


def _slug(text: str) -> str:
    """Return the text as a file name of a-z, 0-9 and hyphens, 80 characters at most."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:MAX_SLUG] or "case"
