"""Operations on users, each one statement or one transaction on a connection."""

from dataclasses import dataclass

from psycopg import errors
from psycopg.rows import DictRow

from chaosfuzz.reference.api_error import ApiError, conflict
from chaosfuzz.reference.database import Connection, changes_one, fetch_all, fetch_one
from chaosfuzz.reference.roles import ROLES, Role

COLUMNS = "id, username, email, role, is_active, created_at, updated_at, last_login_at"
_TAKEN = {
    "users_username": ("USERNAME_ALREADY_EXISTS", "this username is taken; choose another"),
    "users_email": ("EMAIL_ALREADY_EXISTS", "this email address is taken; choose another"),
}
_INSERT = "INSERT INTO users (username, email, password_hash, role) VALUES (%s, %s, %s, %s)"
# A system without an active admin could never get one: only admins change roles.
_NOT_LAST_ADMIN = (
    "(role <> 'admin' OR EXISTS (SELECT FROM users other"
    " WHERE other.role = 'admin' AND other.is_active AND other.id <> users.id))"
)
# Two admins may remove each other at once. The change follows in a statement of its own, which
# sees the committed change of the other transaction. The order of ids prevents a deadlock.
_LOCK_ADMINS = "SELECT FROM users WHERE role = 'admin' AND is_active ORDER BY id FOR NO KEY UPDATE"


@dataclass(frozen=True, kw_only=True)
class NewUser:
    """The data of a user to be inserted; `password_hash` is by argon2."""

    username: str
    email: str
    password_hash: str
    role: Role = Role.USER

    @property
    def columns(self) -> tuple[str, str, str, str]:
        """The values of the columns in INSERT."""
        return (self.username, self.email, self.password_hash, self.role.word)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A user with the hash that a given password is checked against."""

    user: DictRow
    password_hash: str


async def create(connection: Connection, user: NewUser) -> DictRow:
    """Insert a user and return the row; raise ApiError (409) if name or address is taken."""
    row = await _changed(connection, _INSERT, user.columns)
    if row is None:
        raise ApiError(500, "DATABASE_ERROR", "the database did not return the inserted user")
    return row


async def create_unless_there(connection: Connection, user: NewUser) -> Role:
    """Insert a user unless a user with the name or address exists; return that user's role.

    For an inserted user that is the role of `user`.
    """
    await connection.execute(f"{_INSERT} ON CONFLICT DO NOTHING", user.columns)
    row = await fetch_one(
        connection,
        "SELECT role FROM users WHERE lower(username) = lower(%s) OR lower(email) = lower(%s)",
        (user.username, user.email),
    )
    return Role.of(row["role"]) if row is not None else user.role


async def credentials(connection: Connection, column: str, value: str) -> Credentials | None:
    """Return the user whose `column` (username, email or id) has the value, or None.

    Case is ignored in usernames and addresses.
    """
    assert column in {"username", "email", "id"}
    wanted = "id = %s" if column == "id" else f"lower({column}) = lower(%s)"
    row = await fetch_one(
        connection, f"SELECT {COLUMNS}, password_hash FROM users WHERE {wanted}", (value,)
    )
    if row is None:
        return None
    return Credentials(password_hash=row.pop("password_hash"), user=row)


async def get(connection: Connection, user_id: str) -> DictRow | None:
    """Return a user, or None if the id does not exist."""
    return await fetch_one(connection, f"SELECT {COLUMNS} FROM users WHERE id = %s", (user_id,))


async def list_users(connection: Connection, limit: int, offset: int) -> list[DictRow]:
    """Return up to `limit` users, newest first, after the first `offset`."""
    return await fetch_all(
        connection,
        f"SELECT {COLUMNS} FROM users ORDER BY created_at DESC, id LIMIT %s OFFSET %s",
        (limit, offset),
    )


async def stats(connection: Connection) -> dict[str, int]:
    """Count users: total, active, inactive, and those of each role."""
    rows = await fetch_all(
        connection, "SELECT role, is_active, count(*) AS number FROM users GROUP BY role, is_active"
    )
    total = sum(row["number"] for row in rows)
    active = sum(row["number"] for row in rows if row["is_active"])
    by_role = {role: sum(r["number"] for r in rows if r["role"] == role) for role in ROLES}
    return {"total": total, "active": active, "inactive": total - active, **by_role}


async def change_profile(
    connection: Connection, user_id: str, username: str | None, email: str | None
) -> DictRow | None:
    """Change name and address and return the user; None leaves a value as it is.

    Return None if the id does not exist; raise ApiError (409) if name or address is taken.
    """
    return await _changed(
        connection,
        "UPDATE users SET username = COALESCE(%s, username), email = COALESCE(%s, email),"
        " updated_at = clock_timestamp() WHERE id = %s",
        (username, email, user_id),
    )


async def change_password(connection: Connection, user_id: str, password_hash: str) -> bool:
    """Store the hash of a new password; return False if the id does not exist."""
    return await changes_one(
        connection,
        "UPDATE users SET password_hash = %s, updated_at = clock_timestamp() WHERE id = %s",
        (password_hash, user_id),
    )


async def change_status(connection: Connection, user_id: str, *, active: bool) -> DictRow | None:
    """Allow or forbid a user to log in and return the user.

    Return None if the id does not exist or the last active admin would be suspended.
    """
    async with connection.transaction():
        await connection.execute(_LOCK_ADMINS)
        return await _changed(
            connection,
            "UPDATE users SET is_active = %s, updated_at = clock_timestamp()"
            f" WHERE id = %s AND (%s OR {_NOT_LAST_ADMIN})",
            (active, user_id, active),
        )


async def change_role(connection: Connection, user_id: str, role: Role) -> DictRow | None:
    """Give a user a role and return the user.

    Return None if the id does not exist or the last active admin would lose the role.
    """
    async with connection.transaction():
        await connection.execute(_LOCK_ADMINS)
        return await _changed(
            connection,
            "UPDATE users SET role = %s, updated_at = clock_timestamp()"
            f" WHERE id = %s AND (%s OR {_NOT_LAST_ADMIN})",
            (role.word, user_id, role is Role.ADMIN),
        )


async def delete(connection: Connection, user_id: str) -> bool:
    """Delete a user, whose sessions end and whose tasks stay without an owner.

    Return False if the id does not exist or belongs to the last active admin.
    """
    async with connection.transaction():
        await connection.execute(_LOCK_ADMINS)
        return await changes_one(
            connection, f"DELETE FROM users WHERE id = %s AND {_NOT_LAST_ADMIN}", (user_id,)
        )


async def _changed(
    connection: Connection, statement: str, parameters: tuple[object, ...]
) -> DictRow | None:
    try:
        return await fetch_one(connection, f"{statement} RETURNING {COLUMNS}", parameters)
    except errors.UniqueViolation as error:
        code, message = _TAKEN.get(
            error.diag.constraint_name or "",
            ("USER_ALREADY_EXISTS", "a user with these data exists"),
        )
        raise conflict(message, code) from error
