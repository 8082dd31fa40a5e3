"""Runs programs that create tasks: a resident producer, or a new process for each task."""

import contextlib
import os
import select
import time
from collections.abc import Callable
from dataclasses import dataclass

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper import ProcessTree
from chaosfuzz.targets.keeper.child import log_tail

# Chosen by hand: bytes of one read.
READ_BYTES = 64 * 1024
# Starts a program with these file descriptors as its standard input and output.
Start = Callable[[tuple[int, int]], ProcessTree]


class _Conversation:
    """A process and the pipes to its standard input and output."""

    def __init__(self, start: Start) -> None:
        child_input, self._to = os.pipe2(os.O_CLOEXEC)
        self._from, child_output = os.pipe2(os.O_CLOEXEC)
        self._unread = b""
        self.answers = 0
        try:
            self.process = start((child_input, child_output))
        except BaseException:
            os.close(self._to)
            os.close(self._from)
            raise
        finally:
            os.close(child_input)
            os.close(child_output)

    def ask(self, line: bytes, timeout_s: float, *, last: bool = False) -> bytes | str:
        """Send a line; return the answer without its newline, or as text why there is none.

        With `last` the process's standard input is closed after the line.
        """
        deadline = time.monotonic() + timeout_s
        try:
            os.write(self._to, line)
            if last:
                os.close(self._to)
                self._to = -1
        except OSError as error:
            return f"it took no request: {error.strerror}"
        while b"\n" not in self._unread:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return f"no answer within {timeout_s:g} s"
            if not select.select([self._from], [], [], left_s)[0]:
                continue
            fresh = os.read(self._from, READ_BYTES)
            if not fresh:
                code = self.process.wait(1.0)
                return f"it ended with exit code {code} and gave no answer"
            self._unread += fresh
        answer, _, self._unread = self._unread.partition(b"\n")
        self.answers += 1
        return answer

    def end(self) -> None:
        """Kill the process with all that it started, and close the pipes."""
        with contextlib.suppress(OSError):
            if self._to >= 0:
                os.close(self._to)
        os.close(self._from)
        self.process.kill_tree()
        self.process.wait(5.0)
        self.process.close()


@dataclass(kw_only=True)
class Producer:
    """A resident program that creates tasks, started at once.

    `start` starts the program, and `ready` waits until it is ready. An answer may take `timeout_s`
    seconds, the first of each process `first_s`; but once the producer has ever answered, a process
    that starts while something is broken (`is_calm` is False) gets no longer either. A producer
    that ends or gives no answer in time is killed, and the next task starts another.
    """

    start: Start
    ready: Callable[[ProcessTree], None]
    timeout_s: float
    first_s: float
    is_calm: Callable[[], bool]

    def __post_init__(self) -> None:
        self._has_answered = False
        self._conversation: _Conversation | None = None
        self._open()

    def _open(self) -> _Conversation:
        if self._conversation is None:
            self._conversation = _Conversation(self.start)
            self.ready(self._conversation.process)
        return self._conversation

    def ask(self, line: bytes) -> bytes | str:
        """Return the answer to a line, or as text the reason why there is none.

        Starts the program if it does not run.

        Raises InfrastructureError if the program ended before any answer while nothing was broken.
        """
        conversation = self._open()
        is_first = not conversation.answers and (self.is_calm() or not self._has_answered)
        answer = conversation.ask(line, self.first_s if is_first else self.timeout_s)
        if isinstance(answer, str):
            ended = conversation.process.exit_code is not None
            log = conversation.process.log_path
            self.close()
            if ended and not self._has_answered and self.is_calm():
                raise InfrastructureError(
                    cause=f"the producer {answer}. Its log {log} ends: {log_tail(log)}",
                    remedy="correct the producer so that it answers the first request",
                )
            return f"the producer: {answer}"
        self._has_answered = True
        return answer

    def close(self) -> None:
        """Kill the program, if it runs."""
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            conversation.end()


def ask_once(start: Start, timeout_s: float, line: bytes) -> bytes | str:
    """Run a program for one task: send the line, return its answer, kill the program.

    Return as text why there is no answer within `timeout_s` seconds.
    """
    conversation = _Conversation(start)
    try:
        answer = conversation.ask(line, timeout_s, last=True)
    finally:
        conversation.end()
    return f"the command: {answer}" if isinstance(answer, str) else answer
