"""Sessions: opaque tokens, of which the database stores only a hash."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import DictRow

from chaosfuzz.reference.api_error import conflict, unauthorized
from chaosfuzz.reference.database import Connection, fetch_one
from chaosfuzz.reference.roles import Role

# Chosen by hand, as are the durations.
TOKEN_BYTES = 48
MAX_TOKEN_LENGTH = 512
_LIFE = "interval '24 hours'"
_BETWEEN_REFRESHES = "interval '5 minutes'"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The user who sent a request, and the session of the token."""

    user_id: str
    session_id: str
    role: Role

    @property
    def sees_only(self) -> str | None:
        """The only owner whose tasks the caller may see; None if the caller sees all tasks."""
        return self.user_id if self.role < Role.MODERATOR else None


def new_token() -> str:
    """Return a random token."""
    return base64.urlsafe_b64encode(secrets.token_bytes(TOKEN_BYTES)).decode()


def token_hash(token: str) -> bytes:
    """Return the SHA-256 of a token, which the database stores.

    Tokens are random, so a slow hash as for passwords would add nothing.
    """
    return hashlib.sha256(token.encode()).digest()


async def find_caller(connection: Connection, token: str) -> Caller:
    """Return the user of a token; raise ApiError (401) if it is unknown or expired.

    The token of a suspended user counts as unknown.
    """
    row = await fetch_one(
        connection,
        "SELECT s.id AS session_id, u.id AS user_id, u.role,"
        " s.expires_at <= clock_timestamp() AS expired, u.is_active"
        " FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.token_hash = %s",
        (token_hash(token),),
    )
    if row is None or not row["is_active"]:
        raise unauthorized("the token is not known; log in for a new one")
    if row["expired"]:
        raise unauthorized("the session has expired; log in again", "TOKEN_EXPIRED")
    return Caller(
        user_id=str(row["user_id"]),
        session_id=str(row["session_id"]),
        role=Role.of(row["role"]),
    )


async def begin(connection: Connection, user_id: str) -> tuple[str, datetime]:
    """Begin a session of 24 hours; return its token and its end.

    Set the user's last_login_at and delete the user's expired sessions.
    """
    token = new_token()
    row = await fetch_one(
        connection,
        "WITH ended AS (DELETE FROM sessions WHERE user_id = %(user)s"
        " AND expires_at <= clock_timestamp()),"
        " login AS (UPDATE users SET last_login_at = clock_timestamp() WHERE id = %(user)s)"
        " INSERT INTO sessions (user_id, token_hash, expires_at)"
        f" VALUES (%(user)s, %(hash)s, clock_timestamp() + {_LIFE}) RETURNING expires_at",
        {"user": user_id, "hash": token_hash(token)},
    )
    assert row is not None
    return token, row["expires_at"]


async def refresh(connection: Connection, session_id: str) -> DictRow:
    """Set a session's end to 24 hours from now; return expires_at and refreshed_at.

    Raise ApiError (409) if it was refreshed less than 5 minutes ago.
    """
    row = await fetch_one(
        connection,
        "UPDATE sessions SET refreshed_at = clock_timestamp(),"
        f" expires_at = clock_timestamp() + {_LIFE}"
        " WHERE id = %s AND (refreshed_at IS NULL"
        f" OR refreshed_at <= clock_timestamp() - {_BETWEEN_REFRESHES})"
        " RETURNING expires_at, refreshed_at",
        (session_id,),
    )
    if row is None:
        raise conflict("the session was refreshed less than 5 minutes ago; try again later")
    return row


async def end(connection: Connection, session_id: str) -> int:
    """End one session; return how many ended: 0 if it had ended before."""
    return (await connection.execute("DELETE FROM sessions WHERE id = %s", (session_id,))).rowcount


async def end_all(connection: Connection, user_id: str, except_for: str | None = None) -> int:
    """End a user's sessions, except for the session of that id; return how many ended."""
    cursor = await connection.execute(
        "DELETE FROM sessions WHERE user_id = %s AND id IS DISTINCT FROM %s::uuid",
        (user_id, except_for),
    )
    return cursor.rowcount


def user_script(username: str, role: Role, token: str) -> str:
    """Return SQL that inserts a user with a session of this token that ends in the year 9000.

    The user has no password, so only the token gives access.
    """
    assert username.isidentifier(), username
    return f"""
WITH seeded AS (
    INSERT INTO users (username, email, password_hash, role)
    VALUES ('{username}', '{username}@example.com', '', '{role.word}') RETURNING id
)
INSERT INTO sessions (user_id, token_hash, expires_at)
SELECT id, '\\x{token_hash(token).hex()}', timestamptz '9000-01-01 00:00:00Z' FROM seeded;
"""
