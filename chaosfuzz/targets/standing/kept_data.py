"""The directory of `up --data`, which keeps a database from one `up` to the next."""

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
from chaosfuzz.targets.standing.state import write_private

_MARK = "chaosfuzz-data.json"
_LOCK = "lock"
_CLUSTER = "postgres"
# Chosen by hand.
_END_TIMEOUT_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class KeptData:
    """The content of chaosfuzz-data.json. The file has the admin's password and mode 0600.

    `postgres_major` is the version that made the data; other versions cannot read them.
    """

    postgres_major: int
    admin_password: str


_FORM = TypeAdapter(KeptData)


def new_password() -> str:
    """Return a random password that meets the API's rules."""
    return f"Aa1-{secrets.token_urlsafe(18)}"


def cluster_directory(data: Path) -> Path:
    """Return the directory of the database cluster in a directory of kept data."""
    return data / _CLUSTER


@contextlib.contextmanager
def kept_data(data: Path, postgres_major: int) -> Iterator[KeptData]:
    """Make or open the directory, and lock it until the end of the block.

    Raises UsageError if it cannot be written, if it has other files in it, if another system is up
    on it, or if another version of PostgreSQL made it. Raises InfrastructureError if a process of
    a killed system still works in it after 10 s.
    """
    _make(data)
    descriptor = os.open(data / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"--data {data}: another system is up on it"
            raise UsageError(cause=message, remedy="end it with: chaosfuzz down") from error
        found = _read(data) or _write(data, postgres_major)
        if found.postgres_major != postgres_major:
            raise UsageError(
                cause=(
                    f"--data {data}: PostgreSQL {found.postgres_major} made it, and PostgreSQL "
                    f"{postgres_major} cannot read it"
                ),
                remedy=(
                    "choose another directory, or name the programs of version "
                    f"{found.postgres_major} by CHAOSFUZZ_POSTGRES_BIN"
                ),
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
        message = f"--data {data}: it has files in it that `chaosfuzz up` did not make"
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
    write_private(data / _MARK, _FORM.dump_json(made, indent=2))
    return made


def _await_empty(data: Path) -> None:
    """Wait up to 10 s for the processes of a killed system, which end by themselves."""
    deadline = time.monotonic() + _END_TIMEOUT_S
    while pids := processes_in(cluster_directory(data)):
        if time.monotonic() > deadline:
            message = f"--data {data}: processes {list(pids)} still work in it"
            raise InfrastructureError(cause=message, remedy="end them and try again")
        time.sleep(_POLL_S)
