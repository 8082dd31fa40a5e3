"""Reads from the log of django-q2 that a cluster is ready."""

import logging


class ReadyHandler(logging.Handler):
    """Prints `ready` when the pusher begins to pull tasks from the database."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print `ready` if the record is the first of the pusher."""
        if " pushing tasks at " in record.getMessage():
            print("ready", flush=True)
