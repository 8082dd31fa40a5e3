"""Accounts: a user's own, and those that moderators and admins manage."""

from typing import Any

from psycopg.rows import DictRow
from starlette.responses import Response

from chaosfuzz.reference import accounts, sessions
from chaosfuzz.reference.api.envelope import success
from chaosfuzz.reference.api.operation import Access, Call, Group, NoInputCall
from chaosfuzz.reference.api.shapes import NoInput, PageQuery
from chaosfuzz.reference.api.user_shapes import (
    Ended,
    NewAccount,
    PasswordChange,
    PasswordReset,
    ProfileChange,
    RoleChange,
    StatusChange,
    User,
    UserId,
    UserStats,
)
from chaosfuzz.reference.api_error import conflict, forbidden, unauthorized, user_not_found
from chaosfuzz.reference.roles import Role

USERS = Group("users")
ADMINISTRATION = Group("user administration")


@USERS.operation("GET", "/users/{id}", User, refusals=(404,))
async def get_user(call: NoInputCall) -> Response:
    """Return a user: yourself, or anybody for moderators."""
    if call.target != call.caller.user_id and call.caller.role < Role.MODERATOR:
        raise user_not_found()
    return success(await _existing(call, call.target))


@USERS.operation("GET", "/users/me/profile", User, refusals=(404,))
async def get_profile(call: NoInputCall) -> Response:
    """Return your profile."""
    return success(await _existing(call, call.caller.user_id))


@USERS.operation("PUT", "/users/me/profile", User, refusals=(404, 409))
async def change_profile(call: Call[ProfileChange, NoInput]) -> Response:
    """Change your name, your address, or both."""
    return await _change_profile(call, call.caller.user_id)


@USERS.operation("PUT", "/users/me/password", Ended)
async def change_password(call: Call[PasswordChange, NoInput]) -> Response:
    """Change your password, given the present one; your other sessions end."""
    user, passwords = call.caller.user_id, call.services.passwords
    found = await call.run(accounts.credentials, "id", user)
    stored = None if found is None else found.password_hash
    if not await passwords.matches(stored, call.body.current_password):
        raise unauthorized("current_password is not your password", "INVALID_CREDENTIALS")
    changed = await passwords.hashed(call.body.new_password)
    await call.run(accounts.change_password, user, changed)
    ended = await call.run(sessions.end_all, user, call.caller.session_id)
    return success({"sessions_ended": ended}, "password changed")


@USERS.operation("DELETE", "/users/me", UserId, refusals=(409,))
async def delete_me(call: NoInputCall) -> Response:
    """Delete your account; your tasks stay without an owner. The last admin has to stay."""
    if not await call.run(accounts.delete, call.caller.user_id):
        if call.caller.role is Role.ADMIN:
            raise conflict("you are the last admin; make another user an admin first")
        raise unauthorized("your account has just been deleted")
    return success({"id": call.caller.user_id}, "account deleted")


@ADMINISTRATION.operation("GET", "/users", list[User], access=Access.MODERATOR)
async def list_users(call: Call[NoInput, PageQuery]) -> Response:
    """List users, newest first."""
    return success(await call.run(accounts.list_users, call.query.limit, call.query.offset))


@ADMINISTRATION.operation(
    "PUT", "/users/{id}/status", User, access=Access.MODERATOR, refusals=(404, 409)
)
async def change_user_status(call: Call[StatusChange, NoInput]) -> Response:
    """Suspend a user, which ends their sessions, or let a suspended user log in again."""
    user, active = call.target, call.body.is_active
    await _check_manageable(call)
    row = await call.run(accounts.change_status, user, active=active)
    if not active and row is not None:
        await call.run(sessions.end_all, user)
    return success(row or await _refuse_change(call), "status changed")


@ADMINISTRATION.operation(
    "POST", "/users/{id}/reset-password", Ended, access=Access.MODERATOR, refusals=(404,)
)
async def reset_user_password(call: Call[PasswordReset, NoInput]) -> Response:
    """Give a user a new password; all their sessions end."""
    await _check_manageable(call)
    changed = await call.services.passwords.hashed(call.body.new_password)
    if not await call.run(accounts.change_password, call.target, changed):
        raise user_not_found()
    ended = await call.run(sessions.end_all, call.target)
    return success({"sessions_ended": ended}, "password reset")


@ADMINISTRATION.operation("POST", "/users", User, access=Access.ADMIN, refusals=(409,))
async def create_user(call: Call[NewAccount, NoInput]) -> Response:
    """Create a user with any role."""
    user = accounts.NewUser(
        username=call.body.username,
        email=call.body.email,
        password_hash=await call.services.passwords.hashed(call.body.password),
        role=Role.of(call.body.role),
    )
    return success(await call.run(accounts.create, user), "user created")


@ADMINISTRATION.operation(
    "PUT", "/users/{id}/profile", User, access=Access.ADMIN, refusals=(404, 409)
)
async def change_user_profile(call: Call[ProfileChange, NoInput]) -> Response:
    """Change a user's name, address, or both."""
    return await _change_profile(call, call.target)


@ADMINISTRATION.operation("PUT", "/users/{id}/role", User, access=Access.ADMIN, refusals=(404, 409))
async def change_user_role(call: Call[RoleChange, NoInput]) -> Response:
    """Give a user a role; the last admin keeps theirs."""
    row = await call.run(accounts.change_role, call.target, Role.of(call.body.role))
    return success(row or await _refuse_change(call), "role changed")


@ADMINISTRATION.operation("DELETE", "/users/{id}", UserId, access=Access.ADMIN, refusals=(404, 409))
async def delete_user(call: NoInputCall) -> Response:
    """Delete a user; their tasks stay without an owner. The last admin has to stay."""
    if not await call.run(accounts.delete, call.target):
        await _refuse_change(call)
    return success({"id": call.target}, "user deleted")


@ADMINISTRATION.operation("GET", "/admin/users/stats", UserStats, access=Access.ADMIN)
async def user_stats(call: NoInputCall) -> Response:
    """Count users by activity and by role."""
    return success(await call.run(accounts.stats))


async def _existing(call: Call[Any, Any], user_id: str) -> DictRow:
    row = await call.run(accounts.get, user_id)
    if row is None:
        raise user_not_found()
    return row


async def _change_profile(call: Call[ProfileChange, NoInput], user_id: str) -> Response:
    body = call.body
    row = await call.run(accounts.change_profile, user_id, body.new_username, body.new_email)
    if row is None:
        raise user_not_found()
    return success(row, "profile changed")


async def _check_manageable(call: Call[Any, Any]) -> None:
    """Raise ApiError unless the target exists and the caller is an admin or ranks above it."""
    row = await _existing(call, call.target)
    if call.caller.role is not Role.ADMIN and Role.of(row["role"]) >= call.caller.role:
        raise forbidden("moderators manage users only; ask an admin to change this account")


async def _refuse_change(call: Call[Any, Any]) -> DictRow:
    """Raise the ApiError for a target that was not changed: it is missing or the last admin.

    The return type only lets callers write `row or await _refuse_change(call)`.
    """
    await _existing(call, call.target)
    raise conflict("this user is the last active admin; make another user an admin first")
