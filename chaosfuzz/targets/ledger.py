"""Reads the ledger: one JSON line for each begin and each end of an execution."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.task import Execution
from chaosfuzz.targets.keeper.process_tree import is_alive

# Chosen by hand: about 100,000 lines, far more than any schedule runs tasks.
MAX_LEDGER_BYTES = 16 * 1024 * 1024
DIED = "died"
FINISHED, FAILED = "finished", "failed"
# The result of an end that has none: the handler was cancelled.
ABANDONED = "abandoned"
NO_IDS: Mapping[str, str] = {}
_FORMAT = (
    '{"event": "start", "token": "...", "task": "id", "component": "worker-1", "pid": 1, '
    '"at_unix_ns": 1}, and an "end" with "result": "finished" or "failed"'
)


class Ledger:
    """Incremental reader of the file at `path`, which need not exist yet.

    The last line counts once its newline is there. Wall-clock times (`at_unix_ns`, `at_unix_ms`)
    are converted to the monotonic clock by one difference for all, so their order is kept.
    `is_running` says of a pid whether its process lives: an open execution of a dead process gets
    the result `died` and the time at which this was seen. With None, it stays open.
    """

    def __init__(self, path: Path, is_running: Callable[[int], bool] | None = is_alive) -> None:
        self.path = path
        self._is_running = is_running
        self._offset = 0
        self._rest = b""
        self._executions: list[Execution] = []
        self._open: dict[tuple[str, int, str], list[int]] = {}
        self._ahead_ns = time.time_ns() - time.monotonic_ns()

    def executions(self, ids: Mapping[str, str] = NO_IDS) -> tuple[Execution, ...]:
        """Read what was appended; return all executions so far, in the order of their begins.

        `ids` gives the queue's task id for a token, for lines that name a token alone. Raises
        InfrastructureError if a line is malformed, or the file is larger than 16 MB.
        """
        # A process that was dead before the ledger is read has written all its lines.
        is_running = self._is_running
        dead = [key for key in self._open if is_running is not None and not is_running(key[1])]
        self._read()
        for key in dead:
            for index in self._open.pop(key, ()):
                self._executions[index] = replace(
                    self._executions[index], end_ns=time.monotonic_ns(), result=DIED
                )
        return tuple(
            e if e.task_id else replace(e, task_id=ids.get(e.token, e.token))
            for e in self._executions
        )

    def _read(self) -> None:
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset)
                fresh = stream.read()
        except FileNotFoundError:
            return
        self._offset += len(fresh)
        if self._offset > MAX_LEDGER_BYTES:
            raise InfrastructureError(
                cause=f"{self.path}: the ledger of executions is over {MAX_LEDGER_BYTES} bytes",
                remedy=(
                    "look in it for the task that runs over and over; reduce the load if none does"
                ),
            )
        *lines, self._rest = (self._rest + fresh).split(b"\n")
        for line in lines:
            try:
                self._take(json.loads(line))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise InfrastructureError(
                    cause=f"{self.path}: damaged ledger line {line[:200]!r}: {error!r}",
                    remedy=f"have the handlers write {_FORMAT}",
                ) from error

    def _take(self, record: dict[str, Any]) -> None:
        token, pid = str(record["token"] or ""), int(record["pid"])
        component = str(record["component"])
        # A task that was created without a token is identified by its id.
        key = (token or str(record["task"]), pid, component)
        at_ns = self._time_ns(record)
        if record["event"] == "start":
            self._open.setdefault(key, []).append(len(self._executions))
            self._executions.append(
                Execution(
                    task_id=str(record.get("task") or ""),
                    token=token,
                    attempt=int(record.get("attempt") or self._count_runs(token) + 1),
                    component=component,
                    pid=pid,
                    start_ns=at_ns,
                )
            )
            return
        if record["event"] != "end" or record["result"] not in {FINISHED, FAILED, None}:
            message = f"event {record['event']!r} with result {record.get('result')!r}"
            raise ValueError(message)
        index = self._close(key, record.get("attempt"))
        self._executions[index] = replace(
            self._executions[index], end_ns=at_ns, result=str(record["result"] or ABANDONED)
        )

    def _time_ns(self, record: dict[str, Any]) -> int:
        if "at_ns" in record:
            return int(record["at_ns"])
        if "at_unix_ns" in record:
            return int(record["at_unix_ns"]) - self._ahead_ns
        return int(float(record["at_unix_ms"]) * 10**6) - self._ahead_ns

    def _count_runs(self, token: str) -> int:
        return sum(e.token == token for e in self._executions)

    def _close(self, key: tuple[str, int, str], attempt: object) -> int:
        """Return the index of the execution that an end line belongs to.

        It is the open one of the same attempt, else the last open one, else the last one that was
        taken for dead. Raises KeyError if there is none.
        """
        if begun := self._open.get(key):
            same = [i for i in begun if str(self._executions[i].attempt) == str(attempt)]
            index = (same or begun)[-1]
            begun.remove(index)
            if not begun:
                del self._open[key]
            return index
        # The end line came after the process was seen dead.
        for index in reversed(range(len(self._executions))):
            e = self._executions[index]
            if (e.token, e.pid, e.component) == key and e.result == DIED:
                return index
        raise KeyError(*key[:1])
