"""Registering, logging in and out."""

from starlette.responses import Response

from chaosfuzz.reference import accounts, sessions
from chaosfuzz.reference.api.envelope import success
from chaosfuzz.reference.api.operation import Access, AnyOperation, Call, Operation
from chaosfuzz.reference.api.shapes import NoInput
from chaosfuzz.reference.api.user_shapes import (
    Ended,
    Login,
    Refreshed,
    Registration,
    Session,
    User,
)
from chaosfuzz.reference.api_error import forbidden, unauthorized
from chaosfuzz.reference.database import Database
from chaosfuzz.reference.passwords import Passwords

Nothing = Call[NoInput, NoInput]


class AuthOperations:
    """How users come to have a session."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    def operations(self) -> list[AnyOperation]:
        """Every operation."""
        return [
            Operation(
                method="POST",
                path="/auth/register",
                name="register",
                summary="Become a user.",
                handler=self.register,
                access=Access.PUBLIC,
                body=Registration,
                query=NoInput,
                data=User,
                refusals=(409,),
                tag="auth",
            ),
            Operation(
                method="POST",
                path="/auth/login",
                name="login",
                summary="Begin a session of 24 hours.",
                handler=self.login,
                access=Access.PUBLIC,
                body=Login,
                query=NoInput,
                data=Session,
                refusals=(401, 403, 409),
                tag="auth",
            ),
            Operation(
                method="GET",
                path="/auth/me",
                name="me",
                summary="Who you are.",
                handler=self.me,
                body=NoInput,
                query=NoInput,
                data=User,
                tag="auth",
            ),
            Operation(
                method="POST",
                path="/auth/logout",
                name="logout",
                summary="End this session.",
                handler=self.logout,
                body=NoInput,
                query=NoInput,
                data=Ended,
                tag="auth",
            ),
            Operation(
                method="POST",
                path="/auth/logout-all",
                name="logout_all",
                summary="End all sessions of yours.",
                handler=self.logout_all,
                body=NoInput,
                query=NoInput,
                data=Ended,
                tag="auth",
            ),
            Operation(
                method="POST",
                path="/auth/refresh",
                name="refresh",
                summary="Let this session last 24 hours from now; once in 5 minutes.",
                handler=self.refresh,
                body=NoInput,
                query=NoInput,
                data=Refreshed,
                refusals=(409,),
                tag="auth",
            ),
        ]

    async def register(self, call: Call[Registration, NoInput]) -> Response:
        """Insert the user."""
        user = accounts.NewUser(
            username=call.body.username,
            email=call.body.email,
            password_hash=await self._passwords.hashed(call.body.password),
        )
        row = await self._database.run(lambda each: accounts.create(each, user))
        return success(row, "user registered")

    async def login(self, call: Call[Login, NoInput]) -> Response:
        """Check the password and begin a session."""
        body = call.body
        column = "email" if "email" in body.model_fields_set else "username"
        value = body.email if column == "email" else body.username
        found = await self._database.run(lambda each: accounts.credentials(each, column, value))
        kept = None if found is None else found.password_hash
        if not await self._passwords.matches(kept, body.password) or found is None:
            message = "there is no user with this name and password"
            raise unauthorized(message, "INVALID_CREDENTIALS")
        if not found.user["is_active"]:
            message = "the account is suspended"
            raise forbidden(message)
        user_id = str(found.user["id"])
        token, expires_at = await self._database.run(lambda each: sessions.begin(each, user_id))
        return success({"session_token": token, "expires_at": expires_at, "user": found.user})

    async def me(self, call: Nothing) -> Response:
        """Who asks."""
        row = await self._database.run(lambda each: accounts.get(each, call.caller.user_id))
        if row is None:
            message = "the account has just been deleted"
            raise unauthorized(message)
        return success(row)

    async def logout(self, call: Nothing) -> Response:
        """End the session of the token."""
        session = call.caller.session_id
        ended = await self._database.run(lambda each: sessions.end(each, session))
        return success({"sessions_ended": ended}, "logged out")

    async def logout_all(self, call: Nothing) -> Response:
        """End every session of the user."""
        user = call.caller.user_id
        ended = await self._database.run(lambda each: sessions.end_all(each, user))
        return success({"sessions_ended": ended}, "logged out everywhere")

    async def refresh(self, call: Nothing) -> Response:
        """Put off the session's end."""
        session = call.caller.session_id
        return success(await self._database.run(lambda each: sessions.refresh(each, session)))
