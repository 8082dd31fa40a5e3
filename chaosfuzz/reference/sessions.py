"""Sessions: opaque tokens, of which the database only keeps a hash."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import DictRow

from chaosfuzz.reference.api_error import conflict, unauthorized
from chaosfuzz.reference.database import Connection
from chaosfuzz.reference.roles import Role

TOKEN_BYTES = 48
MAX_TOKEN_LENGTH = 512
_LIFE = "interval '24 hours'"
_BETWEEN_REFRESHES = "interval '5 minutes'"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks, by which session."""

    user_id: str
    session_id: str
    role: Role

    @property
    def sees_only(self) -> str | None:
        """The owner whose tasks they see; None for all."""
        return self.user_id if self.role < Role.MODERATOR else None


def new_token() -> str:
    """Return a token nobody can guess."""
    return base64.urlsafe_b64encode(secrets.token_bytes(TOKEN_BYTES)).decode()


def token_hash(token: str) -> bytes:
    """What is kept of a token; it is random, so a plain hash will do."""
    return hashlib.sha256(token.encode()).digest()


async def find_caller(connection: Connection, token: str) -> Caller:
    """Who the token belongs to; raises ApiError if it does not do any more, or never did."""
    cursor = await connection.execute(
        "SELECT s.id AS session_id, u.id AS user_id, u.role,"
        " s.expires_at <= clock_timestamp() AS expired, u.is_active"
        " FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.token_hash = %s",
        (token_hash(token),),
    )
    row = await cursor.fetchone()
    if row is None or not row["is_active"]:
        message = "the token is not known; log in for a new one"
        raise unauthorized(message)
    if row["expired"]:
        message = "the session has expired; log in again"
        raise unauthorized(message, "TOKEN_EXPIRED")
    return Caller(
        user_id=str(row["user_id"]),
        session_id=str(row["session_id"]),
        role=Role.of(row["role"]),
    )


async def begin(connection: Connection, user_id: str) -> tuple[str, datetime]:
    """Begin a session; return its token and when it ends. Sessions that ended go with it."""
    token = new_token()
    cursor = await connection.execute(
        "WITH ended AS (DELETE FROM sessions WHERE user_id = %(user)s"
        " AND expires_at <= clock_timestamp()),"
        " login AS (UPDATE users SET last_login_at = clock_timestamp() WHERE id = %(user)s)"
        " INSERT INTO sessions (user_id, token_hash, expires_at)"
        f" VALUES (%(user)s, %(hash)s, clock_timestamp() + {_LIFE}) RETURNING expires_at",
        {"user": user_id, "hash": token_hash(token)},
    )
    row = await cursor.fetchone()
    assert row is not None
    return token, row["expires_at"]


async def refresh(connection: Connection, session_id: str) -> DictRow:
    """Let a session last from now; raises ApiError if it was refreshed just before."""
    cursor = await connection.execute(
        "UPDATE sessions SET refreshed_at = clock_timestamp(),"
        f" expires_at = clock_timestamp() + {_LIFE}"
        " WHERE id = %s AND (refreshed_at IS NULL"
        f" OR refreshed_at <= clock_timestamp() - {_BETWEEN_REFRESHES})"
        " RETURNING expires_at, refreshed_at",
        (session_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        message = "the session was refreshed less than 5 minutes ago"
        raise conflict(message)
    return row


async def end(connection: Connection, session_id: str) -> int:
    """End one session; return how many ended."""
    cursor = await connection.execute("DELETE FROM sessions WHERE id = %s", (session_id,))
    return cursor.rowcount


async def end_all(connection: Connection, user_id: str, but: str | None = None) -> int:
    """End a user's sessions, but for one; return how many ended."""
    cursor = await connection.execute(
        "DELETE FROM sessions WHERE user_id = %s AND id IS DISTINCT FROM %s::uuid", (user_id, but)
    )
    return cursor.rowcount
