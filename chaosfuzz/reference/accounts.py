"""What can be done with users, each as one statement or one transaction on a connection."""

from dataclasses import dataclass

from psycopg import errors
from psycopg.rows import DictRow

from chaosfuzz.reference.api_error import ApiError, conflict
from chaosfuzz.reference.database import Connection
from chaosfuzz.reference.roles import ROLES, Role

COLUMNS = "id, username, email, role, is_active, created_at, updated_at, last_login_at"
_TAKEN = {
    "users_username": ("USERNAME_ALREADY_EXISTS", "this username is taken"),
    "users_email": ("EMAIL_ALREADY_EXISTS", "this email address is taken"),
}
# Without an admin nobody could make one.
_NOT_LAST_ADMIN = (
    "(role <> 'admin' OR EXISTS (SELECT FROM users other"
    " WHERE other.role = 'admin' AND other.is_active AND other.id <> users.id))"
)
# Of two who remove each other the second has to see what the first has done, hence a statement of
# its own before that of the change; in one order, so that they do not wait for each other.
_LOCK_ADMINS = "SELECT FROM users WHERE role = 'admin' AND is_active ORDER BY id FOR NO KEY UPDATE"


@dataclass(frozen=True, kw_only=True)
class NewUser:
    """A user to be; the password is hashed already."""

    username: str
    email: str
    password_hash: str
    role: Role = Role.USER


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a login is checked against."""

    user: DictRow
    password_hash: str


async def create(connection: Connection, user: NewUser) -> DictRow:
    """Insert a user; raises ApiError if the name or the address is taken."""
    return (
        await _changed(
            connection,
            "INSERT INTO users (username, email, password_hash, role) VALUES (%s, %s, %s, %s)",
            (user.username, user.email, user.password_hash, user.role.word),
        )
        or _vanished()
    )


async def create_unless_there(connection: Connection, user: NewUser) -> Role:
    """Insert a user if nobody has the name or address; return the role of who has it now."""
    await connection.execute(
        "INSERT INTO users (username, email, password_hash, role) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (user.username, user.email, user.password_hash, user.role.word),
    )
    cursor = await connection.execute(
        "SELECT role FROM users WHERE lower(username) = lower(%s) OR lower(email) = lower(%s)",
        (user.username, user.email),
    )
    row = await cursor.fetchone()
    return Role.of(row["role"]) if row is not None else user.role


async def credentials(connection: Connection, column: str, value: str) -> Credentials | None:
    """A user by username or email, with the hash of the password."""
    assert column in {"username", "email", "id"}
    wanted = "id = %s" if column == "id" else f"lower({column}) = lower(%s)"
    cursor = await connection.execute(
        f"SELECT {COLUMNS}, password_hash FROM users WHERE {wanted}", (value,)
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Credentials(password_hash=row.pop("password_hash"), user=row)


async def get(connection: Connection, user_id: str) -> DictRow | None:
    """One user."""
    cursor = await connection.execute(f"SELECT {COLUMNS} FROM users WHERE id = %s", (user_id,))
    return await cursor.fetchone()


async def list_users(connection: Connection, limit: int, offset: int) -> list[DictRow]:
    """Users, newest first."""
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM users ORDER BY created_at DESC, id LIMIT %s OFFSET %s",
        (limit, offset),
    )
    return await cursor.fetchall()


async def stats(connection: Connection) -> dict[str, int]:
    """How many users there are, by activity and role."""
    cursor = await connection.execute(
        "SELECT role, is_active, count(*) AS number FROM users GROUP BY role, is_active"
    )
    rows = await cursor.fetchall()
    total = sum(row["number"] for row in rows)
    active = sum(row["number"] for row in rows if row["is_active"])
    by_role = {role: sum(r["number"] for r in rows if r["role"] == role) for role in ROLES}
    return {"total": total, "active": active, "inactive": total - active, **by_role}


async def change_profile(
    connection: Connection, user_id: str, username: str | None, email: str | None
) -> DictRow | None:
    """Change name or address, None leaving it; raises ApiError if it is taken."""
    return await _changed(
        connection,
        "UPDATE users SET username = COALESCE(%s, username), email = COALESCE(%s, email),"
        " updated_at = clock_timestamp() WHERE id = %s",
        (username, email, user_id),
    )


async def change_password(connection: Connection, user_id: str, password_hash: str) -> bool:
    """Set the hash of a new password."""
    cursor = await connection.execute(
        "UPDATE users SET password_hash = %s, updated_at = clock_timestamp() WHERE id = %s",
        (password_hash, user_id),
    )
    return cursor.rowcount == 1


async def change_status(connection: Connection, user_id: str, *, active: bool) -> DictRow | None:
    """Let a user log in, or not; None if there is none, or it is the last admin."""
    async with connection.transaction():
        await connection.execute(_LOCK_ADMINS)
        return await _changed(
            connection,
            "UPDATE users SET is_active = %s, updated_at = clock_timestamp()"
            f" WHERE id = %s AND (%s OR {_NOT_LAST_ADMIN})",
            (active, user_id, active),
        )


async def change_role(connection: Connection, user_id: str, role: Role) -> DictRow | None:
    """Give a user a role; None if there is none, or it is the last admin."""
    async with connection.transaction():
        await connection.execute(_LOCK_ADMINS)
        return await _changed(
            connection,
            "UPDATE users SET role = %s, updated_at = clock_timestamp()"
            f" WHERE id = %s AND (%s OR {_NOT_LAST_ADMIN})",
            (role.word, user_id, role is Role.ADMIN),
        )


async def delete(connection: Connection, user_id: str) -> bool:
    """Delete a user; False if there is none, or it is the last admin. Their tasks stay."""
    async with connection.transaction():
        await connection.execute(_LOCK_ADMINS)
        cursor = await connection.execute(
            f"DELETE FROM users WHERE id = %s AND {_NOT_LAST_ADMIN}", (user_id,)
        )
        return cursor.rowcount == 1


async def _changed(
    connection: Connection, statement: str, parameters: tuple[object, ...]
) -> DictRow | None:
    try:
        cursor = await connection.execute(f"{statement} RETURNING {COLUMNS}", parameters)
    except errors.UniqueViolation as error:
        code, message = _TAKEN.get(
            error.diag.constraint_name or "", ("USER_ALREADY_EXISTS", "there is such a user")
        )
        raise conflict(message, code) from error
    return await cursor.fetchone()


def _vanished() -> DictRow:
    raise ApiError(500, "DATABASE_ERROR", "the database did not return what it inserted")
