"""The file by which other commands find the system that was left running."""

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
    """What was started, and who supervises it. Holds the admin's password: for its user alone."""

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
        """Whether the supervisor lives."""
        return start_time_ticks(self.pid) == self.start_time_ticks and is_alive(self.pid)


_FORM = TypeAdapter(State)


def state_path(out: Path) -> Path:
    """Return where the state of the system is kept that belongs to a directory of results."""
    return out.resolve() / _DIRECTORY / _NAME


def write_state(state: State, out: Path) -> None:
    """Write the file, readable by its owner alone, at once as a whole."""
    path = state_path(out)
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_FORM.dump_json(state, indent=2))
    unfinished.replace(path)


def find_state(out: Path) -> State | None:
    """Return what the file says, None without one; its supervisor may be dead.

    Raises:
        UsageError: the file is none that `chaosfuzz up` wrote.

    """
    path = state_path(out)
    try:
        return _FORM.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise UsageError(
            cause=f"{path} is no state of `chaosfuzz up`: {error}",
            remedy="remove the file, and what is left of the system with: chaosfuzz clean",
        ) from error


def forget_state(out: Path) -> None:
    """Remove the file with all that lies beside it: the logs of the system."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(state_path(out).parent)
