"""Programs that create tasks: one that stays and is asked by lines, or one for each task."""

import contextlib
import os
import select
import time
from collections.abc import Callable

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper import ProcessTree
from chaosfuzz.targets.keeper.child import log_tail
from chaosfuzz.targets.profiles.creating import LineCreator

MAX_ANSWER_BYTES = 64 * 1024
# Starts a program with these as its standard input and output.
Start = Callable[[tuple[int, int]], ProcessTree]


class _Conversation:
    """One process and the pipes to it."""

    def __init__(self, start: Start) -> None:
        theirs_in, self._to = os.pipe2(os.O_CLOEXEC)
        self._from, theirs_out = os.pipe2(os.O_CLOEXEC)
        self._rest = b""
        self.answers = 0
        try:
            self.process = start((theirs_in, theirs_out))
        except BaseException:
            os.close(self._to)
            os.close(self._from)
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    def ask(self, line: bytes, timeout_s: float, *, last: bool = False) -> bytes | str:
        """Send a line and return the answer, or say why there is none."""
        deadline = time.monotonic() + timeout_s
        try:
            os.write(self._to, line)
            if last:
                os.close(self._to)
                self._to = -1
        except OSError as error:
            return f"it took no request: {error.strerror}"
        while b"\n" not in self._rest:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return f"no answer within {timeout_s:g} s"
            if not select.select([self._from], [], [], left_s)[0]:
                continue
            fresh = os.read(self._from, MAX_ANSWER_BYTES)
            if not fresh:
                code = self.process.wait(1.0)
                return f"it ended with exit code {code} and gave no answer"
            self._rest += fresh
        answer, _, self._rest = self._rest.partition(b"\n")
        self.answers += 1
        return answer

    def end(self) -> None:
        """Kill the process and close the pipes."""
        with contextlib.suppress(OSError):
            if self._to >= 0:
                os.close(self._to)
        os.close(self._from)
        self.process.kill_tree()
        self.process.wait(5.0)
        self.process.close()


class Producer:
    """A resident program; one that ends, or answers late, is started again for the next task.

    Raises:
        InfrastructureError: it ended before it ever answered, with nothing broken.

    """

    def __init__(
        self,
        start: Start,
        ready: Callable[[ProcessTree], None],
        *,
        timeout_s: float,
        first_s: float,
        is_calm: Callable[[], bool],
    ) -> None:
        self._start = start
        self._ready = ready
        self._timeout_s = timeout_s
        self._first_s = first_s
        self._is_calm = is_calm
        self._conversation: _Conversation | None = None
        self._has_answered = False
        self.open()

    def open(self) -> None:
        """Start it and wait until it is ready."""
        if self._conversation is None:
            self._conversation = _Conversation(self._start)
            self._ready(self._conversation.process)

    def ask(self, line: bytes) -> bytes | str:
        """Return the answer to a line, or say why there is none."""
        self.open()
        talk = self._conversation
        assert talk is not None
        answer = talk.ask(line, self._patience_s(talk))
        if isinstance(answer, str):
            ended = talk.process.exit_code is not None
            log = talk.process.log_path
            self.close()
            if ended and not self._has_answered and self._is_calm():
                raise InfrastructureError(
                    cause=f"the producer {answer}. Its log {log} ends: {log_tail(log)}",
                    remedy="correct the producer so that it answers the first request",
                )
            return f"the producer: {answer}"
        self._has_answered = True
        return answer

    def _patience_s(self, talk: _Conversation) -> float:
        """Return how long an answer may take: longer of a program that starts undisturbed."""
        if talk.answers or (self._has_answered and not self._is_calm()):
            return self._timeout_s
        return self._first_s

    def close(self) -> None:
        """End it."""
        talk, self._conversation = self._conversation, None
        if talk is not None:
            talk.end()


def ask_once(start: Start, timeout_s: float) -> Callable[[bytes], bytes | str]:
    """Return what runs a program for one task: a line in, a line out."""

    def ask(line: bytes) -> bytes | str:
        talk = _Conversation(start)
        try:
            answer = talk.ask(line, timeout_s, last=True)
        finally:
            talk.end()
        return f"the command: {answer}" if isinstance(answer, str) else answer

    return ask


def command_creator(start: Start, timeout_s: float) -> LineCreator:
    """Return a creator that runs a program for each task."""
    return LineCreator(ask_once(start, timeout_s), lambda: None)


def producer_creator(producer: Producer) -> LineCreator:
    """Return a creator that asks a resident program."""
    return LineCreator(producer.ask, producer.close)
