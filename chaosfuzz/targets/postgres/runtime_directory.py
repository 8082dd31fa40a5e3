"""Directories for running processes: quick, short-named, and marked with their owner."""

import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper.process_tree import PROC, is_alive, start_time_ticks

PREFIX = "chaosfuzz-"
MANIFEST_NAME = "manifest.json"
_SHARED_MEMORY = Path("/dev/shm")
_MINIMUM_FREE_BYTES = 512 * 1024 * 1024
_UNFINISHED_AFTER_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Who owns a runtime directory. A pid alone may come back, with its start time it cannot."""

    pid: int
    start_time_ticks: int
    pid_namespace: str
    created: str
    what: str

    def owner_is_gone(self) -> bool:
        """Tell whether the owner is certainly dead; another container's owner never is."""
        if self.pid_namespace != _pid_namespace():
            return False
        # One that nobody has reaped is dead as well.
        return start_time_ticks(self.pid) != self.start_time_ticks or not is_alive(self.pid)


def this_process(what: str) -> Manifest:
    """Return the manifest that names this process as the owner of something."""
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

    Raises:
        InfrastructureError: the root cannot be written or is full.

    """
    root = root or runtime_root()
    manifest = this_process(what)
    directory = None
    try:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        # The unprivileged account must pass through, yet need not list it.
        directory.chmod(0o711)
        (directory / MANIFEST_NAME).write_text(json.dumps(asdict(manifest)), encoding="utf-8")
    except BaseException as error:
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)
        if isinstance(error, OSError):
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            remedy = "free space there, or set TMPDIR" if full else "set TMPDIR to another"
            raise InfrastructureError(
                cause=f"cannot create a directory in {root}: {error.strerror}", remedy=remedy
            ) from error
        raise
    return directory


@contextmanager
def scratch_directory(what: str) -> Iterator[Path]:
    """Create a runtime directory for the block, and remove it at the end.

    `chaosfuzz clean` finds it if this process is killed.

    Raises:
        InfrastructureError: it cannot be made.

    """
    directory = create_runtime_directory(what)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def is_unfinished(directory: Path) -> bool:
    """Tell whether a kill came between the making of a directory and that of its manifest.

    Whoever lives needs microseconds for that, so a minute's age decides.
    """
    try:
        entries = list(directory.iterdir())
        empty = all(e.name == MANIFEST_NAME and e.stat().st_size == 0 for e in entries)
        return empty and time.time() - directory.stat().st_mtime > _UNFINISHED_AFTER_S
    except OSError:
        return False


def read_manifest(directory: Path) -> Manifest | None:
    """Return the manifest of a directory, None if it has no valid one."""
    try:
        content = json.loads((directory / MANIFEST_NAME).read_text(encoding="utf-8"))
        manifest = Manifest(**content)
    except (OSError, ValueError, TypeError):
        return None
    valid = all(
        isinstance(getattr(manifest, name), kind) for name, kind in Manifest.__annotations__.items()
    )
    return manifest if valid else None


def _pid_namespace() -> str:
    return str((PROC / "self/ns/pid").readlink())


def _is_tmpfs(path: Path) -> bool:
    try:
        mounts = (PROC / "self/mounts").read_text().splitlines()
    except OSError:
        return False
    return any(line.split()[1:3] == [str(path), "tmpfs"] for line in mounts)
