"""What server and worker have in common as processes: exit codes, readiness, what they say."""

import contextlib
import logging
import os
import sys

BAD_USAGE = 2
ENVIRONMENT_FAILED = 3


def one_line(error: BaseException) -> str:
    """The error's text without its line breaks, or its type if it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


def quieten_driver() -> None:
    """Keep the driver from logging every query that was given up; `Notices` tells of outages."""
    logging.getLogger("psycopg").setLevel(logging.ERROR)


def announce_ready(ready_fd: int | None) -> None:
    """Write one byte to the descriptor, if there is one, and close it."""
    if ready_fd is not None:
        os.write(ready_fd, b"R")
        os.close(ready_fd)


class Notices:
    """Lines on standard error, under the component's name."""

    def __init__(self, component: str) -> None:
        self._component = component
        self._last = ""
        self._available = True

    def say(self, text: str) -> None:
        """Write a line; one that repeats the line before it is left out."""
        if text == self._last:
            return
        self._last = text
        # Whoever was reading may be gone, which is no reason to stop working.
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{self._component}: {text}\n")
            sys.stderr.flush()

    def unavailable(self, error: BaseException) -> None:
        """Say that the database cannot be used, once in each outage."""
        if self._available:
            self._available = False
            self.say(f"the database is not available, trying again: {one_line(error)}")

    def available(self) -> None:
        """Say that the database can be used again, if it could not before."""
        if not self._available:
            self._available = True
            self.say("the database is available again")
