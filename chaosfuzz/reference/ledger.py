"""The ledger: a record of executions in a file, which no fault of the database touches."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

Event = Literal["start", "end"]
Outcome = Literal["finished", "failed"]


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """An execution. `token` is the payload's token, or None."""

    task: str
    token: object
    attempt: int


class Ledger:
    """Appends records to a file, each a JSON line in one write, so lines of processes never mix."""

    def __init__(self, descriptor: int | None, component: str) -> None:
        self._descriptor = descriptor
        self._component = component

    @classmethod
    def open(cls, path: str | None, component: str) -> Self:
        """Open the file for appending; without a path, return a ledger that records nothing."""
        if path is None:
            return cls(None, component)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return cls(os.open(Path(path), flags, 0o644), component)

    def write(self, event: Event, entry: LedgerEntry, result: Outcome | None = None) -> None:
        """Append one record; an end without a result means that the handler was cancelled."""
        if self._descriptor is None:
            return
        record = {
            "event": event,
            "task": entry.task,
            "token": entry.token,
            "attempt": entry.attempt,
            "component": self._component,
            "pid": os.getpid(),
            "at_ns": time.monotonic_ns(),
            "result": result,
        }
        os.write(self._descriptor, (json.dumps(record) + "\n").encode())

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
