"""Cases in a directory, one folder a target."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from chaosfuzz.cases.codec import dump_case, load_case
from chaosfuzz.domain.case import Case
from chaosfuzz.domain.errors import InfrastructureError, UsageError

MAX_SAME_NAME = 1000


class CaseStore:
    """Saves and finds cases below a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def save(self, case: Case) -> Path:
        """Write a case and return its path; the same steps and signature replace an older file.

        Raises InfrastructureError if it cannot be written (disk full, no permission).
        """
        folder = self.directory / case.target
        text = dump_case(case)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = self._choose(folder, case)
            descriptor, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                    stream.write(text)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            message = (
                f"cannot save the case below {folder}: {error.strerror}; free space or choose "
                f"another directory with --cases. The case was:\n{text}"
            )
            raise InfrastructureError(message) from error
        return path

    def load(self, path: Path) -> Case:
        """Read a case; raises UsageError if it is missing or not a case."""
        try:
            text = path.read_bytes().decode("utf-8")
        except OSError as error:
            message = f"{path}: cannot be read: {error.strerror}; give the path of a case file"
            raise UsageError(message) from error
        except UnicodeDecodeError as error:
            message = f"{path}:1: not a case: it is not text; give the path of a case file"
            raise UsageError(message) from error
        return load_case(text, str(path))

    def find(self) -> list[Path]:
        """Return the paths of all cases, sorted."""
        return sorted(self.directory.glob("**/*.yaml"))

    def _choose(self, folder: Path, case: Case) -> Path:
        slug = "-".join((case.signature.kind.lower().replace("_", "-"), *case.defects))
        for number in range(1, MAX_SAME_NAME):
            path = folder / (f"{slug}.yaml" if number == 1 else f"{slug}-{number}.yaml")
            if not path.exists():
                return path
            try:
                known = self.load(path)
            except UsageError:
                continue
            if (known.schedule, known.signature) == (case.schedule, case.signature):
                return path
        message = f"{folder}: {MAX_SAME_NAME} cases are named {slug}; remove some"
        raise InfrastructureError(message)


def resolve(arguments: Sequence[Path]) -> list[Path]:
    """Return the case files that arguments (files or directories) name; UsageError if none."""
    found: list[Path] = []
    for argument in arguments:
        if argument.is_dir():
            found += CaseStore(argument).find()
        elif argument.is_file():
            found.append(argument)
        else:
            message = f"{argument}: no such file or directory; chaosfuzz cases lists what there is"
            raise UsageError(message)
    if not found:
        message = f"{', '.join(map(str, arguments))}: no cases there; give a case file"
        raise UsageError(message)
    return found
