"""The journal of a run: JSON lines, flushed before what they announce happens."""

import json
import threading
import time
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError

MAX_BYTES = 64 * 1024 * 1024


class EventLog:
    """Appends events (implements the Journal protocol); safe to call from several lanes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._written = 0
        self._full = False
        self._stream = path.open("w", encoding="utf-8")

    def write(self, kind: str, **fields: str | int | float | bool | None) -> None:
        """Write one event; raises InfrastructureError if the disk refuses it."""
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
                    remedy="free space or use --out",
                ) from error
            self._written += len(line)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._full = True
            self._stream.close()
