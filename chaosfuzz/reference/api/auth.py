"""Registering, logging in and out."""

from starlette.responses import Response

from chaosfuzz.reference import accounts, sessions
from chaosfuzz.reference.api.envelope import success
from chaosfuzz.reference.api.operation import Access, Call, Group, NoInputCall
from chaosfuzz.reference.api.shapes import NoInput
from chaosfuzz.reference.api.user_shapes import Ended, Login, Refreshed, Registration, Session, User
from chaosfuzz.reference.api_error import forbidden, unauthorized

AUTH = Group("auth")


@AUTH.operation("POST", "/auth/register", User, access=Access.PUBLIC, refusals=(409,))
async def register(call: Call[Registration, NoInput]) -> Response:
    """Create an account with the role user."""
    user = accounts.NewUser(
        username=call.body.username,
        email=call.body.email,
        password_hash=await call.services.passwords.hashed(call.body.password),
    )
    return success(await call.run(accounts.create, user), "user registered")


@AUTH.operation("POST", "/auth/login", Session, access=Access.PUBLIC, refusals=(401, 403, 409))
async def login(call: Call[Login, NoInput]) -> Response:
    """Check the password and begin a session of 24 hours."""
    body = call.body
    column = "email" if "email" in body.model_fields_set else "username"
    value = body.email if column == "email" else body.username
    found = await call.run(accounts.credentials, column, value)
    stored = None if found is None else found.password_hash
    if not await call.services.passwords.matches(stored, body.password) or found is None:
        raise unauthorized("there is no user with this name and password", "INVALID_CREDENTIALS")
    if not found.user["is_active"]:
        raise forbidden("the account is suspended; ask a moderator to let you in again")
    token, expires_at = await call.run(sessions.begin, str(found.user["id"]))
    return success({"session_token": token, "expires_at": expires_at, "user": found.user})


@AUTH.operation("GET", "/auth/me", User)
async def me(call: NoInputCall) -> Response:
    """Return your account."""
    row = await call.run(accounts.get, call.caller.user_id)
    if row is None:
        raise unauthorized("your account has just been deleted")
    return success(row)


@AUTH.operation("POST", "/auth/logout", Ended)
async def logout(call: NoInputCall) -> Response:
    """End this session."""
    ended = await call.run(sessions.end, call.caller.session_id)
    return success({"sessions_ended": ended}, "logged out")


@AUTH.operation("POST", "/auth/logout-all", Ended)
async def logout_all(call: NoInputCall) -> Response:
    """End all sessions of yours."""
    ended = await call.run(sessions.end_all, call.caller.user_id)
    return success({"sessions_ended": ended}, "logged out everywhere")


@AUTH.operation("POST", "/auth/refresh", Refreshed, refusals=(409,))
async def refresh(call: NoInputCall) -> Response:
    """Extend this session to 24 hours from now; possible once in 5 minutes."""
    return success(await call.run(sessions.refresh, call.caller.session_id))
