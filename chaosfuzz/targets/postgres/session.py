"""A session of the harness's own, by which it looks into a target's database."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

APPLICATION_NAME = "chaosfuzz-observer"
_TRIES = 2
_CONNECT_TIMEOUT_S = 2


# Of the target's sessions, and of those that are idle in a transaction.
_SESSIONS = """
SELECT count(*) AS sessions, count(*) FILTER (
         WHERE state = 'idle in transaction' AND state_change < clock_timestamp() - interval '1 s')
       AS open
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
Row = dict[str, Any]


class LastingSession:
    """One session, opened again whenever the database took it away."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[Row] | None = None

    def query(self, statement: str) -> list[Row] | None:
        """Return all rows, None while the database cannot be reached.

        Raises:
            psycopg.Error: the statement is wrong.

        """
        for _ in range(_TRIES):
            try:
                return self._opened().execute(statement.encode()).fetchall()
            except psycopg.OperationalError:
                self.close()
        return None

    def count_sessions(self) -> tuple[int, int]:
        """Return the number of the target's sessions, and of those idle in a transaction."""
        rows = self.query(_SESSIONS)
        return (rows[0]["sessions"], rows[0]["open"]) if rows else (0, 0)

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> psycopg.Connection[Row]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.Connection[Row].connect(
                self._dsn,
                autocommit=True,
                connect_timeout=_CONNECT_TIMEOUT_S,
                # The same few queries all the time: planned once a session.
                prepare_threshold=0,
                application_name=APPLICATION_NAME,
                row_factory=dict_row,
            )
        return self._connection
