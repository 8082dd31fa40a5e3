"""The harness's own session in a target's database."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

APPLICATION_NAME = "chaosfuzz-observer"
_TRIES = 2
_CONNECT_TIMEOUT_S = 2

# Counts the target's sessions, and those that have been idle in a transaction for over 1 s.
_SESSIONS = """
SELECT count(*) AS sessions, count(*) FILTER (
         WHERE state = 'idle in transaction' AND state_change < clock_timestamp() - interval '1 s')
       AS open
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
Row = dict[str, Any]


class LastingSession:
    """A session that is opened when it is needed, again after the database ended it."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[Row] | None = None

    def query(self, statement: str) -> list[Row] | None:
        """Return all rows, None if the database could not be reached twice in a row.

        Raises psycopg.Error if the statement is wrong.
        """
        for _ in range(_TRIES):
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.Connection[Row].connect(
                        self._dsn,
                        autocommit=True,
                        connect_timeout=_CONNECT_TIMEOUT_S,
                        # The session runs the same few queries, so each is planned once.
                        prepare_threshold=0,
                        application_name=APPLICATION_NAME,
                        row_factory=dict_row,
                    )
                return self._connection.execute(statement.encode()).fetchall()
            except psycopg.OperationalError:
                self.close()
        return None

    def count_sessions(self) -> tuple[int, int]:
        """Return how many sessions the target has, and how many are idle in a transaction for 1 s.

        Both are 0 while the database cannot be reached.
        """
        rows = self.query(_SESSIONS)
        return (rows[0]["sessions"], rows[0]["open"]) if rows else (0, 0)

    def close(self) -> None:
        """End the session, if one is open; the next query opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
