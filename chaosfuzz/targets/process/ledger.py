"""Reads the ledger: the file where handlers record their executions, outside the database."""

import json
from dataclasses import replace
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.task import Execution

MAX_LEDGER_BYTES = 16 * 1024 * 1024


class Ledger:
    """Incremental reader of JSON lines; a line cut short by a killed writer waits for its rest."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self._executions: list[Execution] = []
        self._open: dict[tuple[str, int, int], int] = {}

    def executions(self) -> tuple[Execution, ...]:
        """Return all executions recorded so far, in order of their start.

        Raises InfrastructureError if the file is damaged or larger than its bound.
        """
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                fresh = stream.read()
        except FileNotFoundError:
            return ()
        self._offset += len(fresh)
        if self._offset > MAX_LEDGER_BYTES:
            raise InfrastructureError(
                cause=f"{self._path}: the ledger of executions is over {MAX_LEDGER_BYTES} bytes",
                remedy=(
                    "look in it for the task that runs over and over; reduce the load if none does"
                ),
            )
        *lines, self._rest = (self._rest + fresh).split(b"\n")
        for line in lines:
            self._take(line)
        return tuple(self._executions)

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            key = (str(record["task"]), int(record["attempt"]), int(record["pid"]))
            if record["event"] == "start":
                self._open[key] = len(self._executions)
                self._executions.append(
                    Execution(
                        task_id=key[0],
                        token=str(record["token"] or ""),
                        attempt=key[1],
                        component=str(record["component"]),
                        pid=key[2],
                        start_ns=int(record["at_ns"]),
                    )
                )
                return
            index = self._open.pop(key)
            self._executions[index] = replace(
                self._executions[index],
                end_ns=int(record["at_ns"]),
                result=str(record["result"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InfrastructureError(
                cause=f"{self._path}: damaged ledger line {line[:200]!r}: {error!r}",
                remedy=(
                    "free disk space; if there is enough, look for what else writes to this file"
                ),
            ) from error
