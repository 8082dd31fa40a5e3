"""The journal of a run: JSON lines, each flushed before its event takes effect."""

import json
import threading
import time
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError

# Chosen by hand.
MAX_BYTES = 64 * 1024 * 1024


class EventLog:
    """Appends events to a file (implements the Journal protocol); lanes may share it.

    After MAX_BYTES it writes `truncated` and no more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._written = 0
        self._full = False
        self._stream = path.open("w", encoding="utf-8")

    def write(self, kind: str, **fields: str | int | float | bool | None) -> None:
        """Write one event, with time and lane. Raises InfrastructureError if that fails."""
        lane = threading.current_thread().name
        event = {"at_ns": time.time_ns(), "event": kind, "lane": lane, **fields}
        line = json.dumps(event) + "\n"
        with self._lock:
            if self._full:
                return
            if self._written + len(line) > MAX_BYTES:
                self._full = True
                line = json.dumps({"event": "truncated", "limit_bytes": MAX_BYTES}) + "\n"
            try:
                self._stream.write(line)
                self._stream.flush()
            except OSError as error:
                raise InfrastructureError(
                    cause=f"cannot write {self._path}: {error.strerror}",
                    remedy="free disk space, or name another directory with --out",
                ) from error
            self._written += len(line)

    def close(self) -> None:
        """Close the file; later events are dropped."""
        with self._lock:
            self._full = True
            self._stream.close()
