"""Users who are there from the start, with sessions, for whoever prepares a database."""

from chaosfuzz.reference.roles import Role
from chaosfuzz.reference.sessions import token_hash


def user_script(username: str, role: Role, token: str) -> str:
    """Return SQL that adds a user and a session by that token, which lasts.

    No password belongs to the user: nobody can log in as them.
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
