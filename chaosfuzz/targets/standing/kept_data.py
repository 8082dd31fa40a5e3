"""A directory that keeps the database of a system from one `up` to the next."""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.postgres import processes_in

_MARK = "chaosfuzz-data.json"
_LOCK = "lock"
_CLUSTER = "postgres"
_END_TIMEOUT_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class KeptData:
    """What is known of a directory of kept data. Holds the admin's password: for its user alone.

    `postgres_major` is the version whose files they are; no other can read them.
    """

    postgres_major: int
    admin_password: str


_FORM = TypeAdapter(KeptData)


def new_password() -> str:
    """Return a password that the API takes."""
    return f"Aa1-{secrets.token_urlsafe(18)}"


def cluster_directory(data: Path) -> Path:
    """Return where the database cluster is in a directory of kept data."""
    return data / _CLUSTER


@contextlib.contextmanager
def kept_data(data: Path, postgres_major: int) -> Iterator[KeptData]:
    """Make or open the directory, and keep it from others until the end.

    Raises:
        UsageError: it cannot be written, holds something else, or another system is up on it.
        InfrastructureError: a process of a killed system does not leave it.

    """
    _make(data)
    descriptor = os.open(data / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"--data {data}: another system is up on it"
            raise UsageError(cause=message, remedy="end that with: chaosfuzz down") from error
        found = _read(data) or _write(data, postgres_major)
        if found.postgres_major != postgres_major:
            raise UsageError(
                cause=(
                    f"--data {data}: made by PostgreSQL {found.postgres_major}, which "
                    f"{postgres_major} cannot read"
                ),
                remedy="choose another directory or set CHAOSFUZZ_POSTGRES_BIN",
            )
        _await_empty(data)
        yield found
    finally:
        os.close(descriptor)


def _make(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
        names = {entry.name for entry in data.iterdir()}
    except OSError as error:
        raise UsageError(
            cause=f"--data {data}: {error.strerror}", remedy="choose another directory"
        ) from error
    if names - {_LOCK} and _MARK not in names:
        message = f"--data {data}: there is something else in it"
        raise UsageError(cause=message, remedy="choose an empty directory")
    if not os.access(data, os.W_OK | os.X_OK):
        raise UsageError(
            cause=f"--data {data}: it cannot be written", remedy="choose another directory"
        )


def _read(data: Path) -> KeptData | None:
    path = data / _MARK
    try:
        return _FORM.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise UsageError(
            cause=f"{path} is not what `chaosfuzz up --data` wrote", remedy="remove the directory"
        ) from error


def _write(data: Path, postgres_major: int) -> KeptData:
    made = KeptData(postgres_major=postgres_major, admin_password=new_password())
    unfinished = data / f"{_LOCK}.new"
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_FORM.dump_json(made, indent=2))
    unfinished.replace(data / _MARK)
    return made


def _await_empty(data: Path) -> None:
    """Wait for what a killed system leaves behind: it ends by itself, if not at once."""
    deadline = time.monotonic() + _END_TIMEOUT_S
    while pids := processes_in(cluster_directory(data)):
        if time.monotonic() > deadline:
            message = f"--data {data}: processes {list(pids)} still work in it"
            raise InfrastructureError(cause=message, remedy="end them first")
        time.sleep(_POLL_S)
