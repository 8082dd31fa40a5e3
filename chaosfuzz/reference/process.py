"""Exit codes, readiness and lines on standard error of server and worker."""

import contextlib
import logging
import os
import sys

BAD_USAGE = 2
ENVIRONMENT_FAILED = 3


def one_line(error: BaseException) -> str:
    """Return the error's text on one line, or the name of its type if it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


def quieten_driver() -> None:
    """Set psycopg's log level to ERROR: it warns of every cancelled query in an outage."""
    logging.getLogger("psycopg").setLevel(logging.ERROR)


def announce_ready(ready_fd: int | None) -> None:
    """Write one byte to the descriptor, if there is one, and close it."""
    if ready_fd is not None:
        os.write(ready_fd, b"R")
        os.close(ready_fd)


class Notices:
    """Writes lines with the component's name to standard error."""

    def __init__(self, component: str) -> None:
        self._component = component
        self._last = ""
        self._available = True

    def say(self, text: str) -> None:
        """Write a line, unless it repeats the line before it."""
        if text == self._last:
            return
        self._last = text
        # A closed standard error must not end the process.
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{self._component}: {text}\n")
            sys.stderr.flush()

    def unavailable(self, error: BaseException) -> None:
        """Write that the database is not available, once in each outage."""
        if self._available:
            self._available = False
            self.say(f"the database is not available, trying again: {one_line(error)}")

    def available(self) -> None:
        """Write that an outage of the database has ended, if there was one."""
        if not self._available:
            self._available = True
            self.say("the database is available again")
