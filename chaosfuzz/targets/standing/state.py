"""The file by which commands find the system that `chaosfuzz up` started."""

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.targets.keeper.process_tree import is_alive, start_time_ticks

_DIRECTORY = "up"
_NAME = "state.json"


@dataclass(frozen=True, kw_only=True)
class State:
    """A running system and its supervisor. Its file has the admin's password and mode 0600."""

    pid: int
    start_time_ticks: int
    base_url: str
    dsn: str
    admin_username: str
    admin_email: str
    admin_password: str
    speed: float
    defects: tuple[str, ...]
    runtime_directory: Path
    socket_path: Path
    logs: Path
    ledger_path: Path
    data: Path | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the supervisor lives, and not another process with its pid."""
        return start_time_ticks(self.pid) == self.start_time_ticks and is_alive(self.pid)


_FORM = TypeAdapter(State)


def state_path(out: Path) -> Path:
    """Return the path of the state file that belongs to a directory of results."""
    return out.resolve() / _DIRECTORY / _NAME


def write_state(state: State, out: Path) -> None:
    """Write the state file that belongs to a directory of results."""
    write_private(state_path(out), _FORM.dump_json(state, indent=2))


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, in one step: readers never see a part of it."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    unfinished.replace(path)


def find_state(out: Path) -> State | None:
    """Return the content of the state file, None without one; the supervisor may be dead.

    Raises UsageError if `chaosfuzz up` did not write the file.
    """
    path = state_path(out)
    try:
        return _FORM.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise UsageError(
            cause=f"{path} is not a state file of `chaosfuzz up`: {error}",
            remedy="remove the file, then run: chaosfuzz clean",
        ) from error


def forget_state(out: Path) -> None:
    """Remove the state file and the system's logs, which are in the same directory."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(state_path(out).parent)
