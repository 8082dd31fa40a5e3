"""Runtime directories: in memory if possible, with a short path, marked with their owner."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper.process_tree import PROC, is_alive, start_time_ticks

PREFIX = "chaosfuzz-"
MANIFEST_NAME = "manifest.json"
_SHARED_MEMORY = Path("/dev/shm")
# Chosen by hand: room for several clusters.
_MINIMUM_FREE_BYTES = 512 * 1024 * 1024
_UNFINISHED_AFTER_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The owner of a runtime directory: a pid with its start time names one process for ever."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)

    pid: int
    start_time_ticks: int
    pid_namespace: str
    created: str
    what: str

    def owner_is_gone(self) -> bool:
        """Say whether the owner is certainly dead; False for one of another pid namespace."""
        if self.pid_namespace != _pid_namespace():
            return False
        # A zombie is dead as well.
        return start_time_ticks(self.pid) != self.start_time_ticks or not is_alive(self.pid)


_FORM = TypeAdapter(Manifest)


def this_process(what: str) -> Manifest:
    """Return a manifest that names this process as the owner; `what` is for people."""
    return Manifest(
        pid=os.getpid(),
        start_time_ticks=start_time_ticks(os.getpid()) or 0,
        pid_namespace=_pid_namespace(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        what=what,
    )


def runtime_root() -> Path:
    """Return /dev/shm if it is a writable tmpfs with 512 MB free, else the temporary directory."""
    writable = _is_tmpfs(_SHARED_MEMORY) and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK)
    if writable and shutil.disk_usage(_SHARED_MEMORY).free >= _MINIMUM_FREE_BYTES:
        return _SHARED_MEMORY
    return Path(tempfile.gettempdir())


def create_runtime_directory(what: str, root: Path | None = None) -> Path:
    """Create a directory `chaosfuzz-XXXXXXXX` with a manifest that names this process.

    It is made in `root`, by default in `runtime_root()`. Raises InfrastructureError if that
    cannot be written or is full.
    """
    root = root or runtime_root()
    manifest = this_process(what)
    directory = None
    try:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        # The unprivileged account must enter the directory, and need not list it.
        directory.chmod(0o711)
        (directory / MANIFEST_NAME).write_bytes(_FORM.dump_json(manifest))
    except BaseException as error:
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)
        if isinstance(error, OSError):
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            where = "set TMPDIR to another directory"
            remedy = f"free space there, or {where}" if full else where
            raise InfrastructureError(
                cause=f"cannot create a directory in {root}: {error.strerror}", remedy=remedy
            ) from error
        raise
    return directory


@contextmanager
def scratch_directory(what: str) -> Iterator[Path]:
    """Create a runtime directory for the block, and remove it at the end.

    If this process is killed, `chaosfuzz clean` removes it. Raises InfrastructureError if it
    cannot be made.
    """
    directory = create_runtime_directory(what)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def is_unfinished(directory: Path) -> bool:
    """Say whether the owner of a directory was killed before it had written the manifest.

    That is so if the directory is empty, or its manifest is, and it is over a minute old: a live
    owner writes the manifest within microseconds.
    """
    try:
        entries = list(directory.iterdir())
        empty = all(e.name == MANIFEST_NAME and e.stat().st_size == 0 for e in entries)
        return empty and time.time() - directory.stat().st_mtime > _UNFINISHED_AFTER_S
    except OSError:
        return False


def read_manifest(directory: Path) -> Manifest | None:
    """Return a directory's manifest, None if there is no valid one."""
    with suppress(OSError, ValidationError):
        return _FORM.validate_json((directory / MANIFEST_NAME).read_bytes())
    return None


def _pid_namespace() -> str:
    return str((PROC / "self/ns/pid").readlink())


def _is_tmpfs(path: Path) -> bool:
    try:
        mounts = (PROC / "self/mounts").read_text().splitlines()
    except OSError:
        return False
    return any(line.split()[1:3] == [str(path), "tmpfs"] for line in mounts)
