"""What moderators and admins do with the accounts of others."""

from psycopg.rows import DictRow
from starlette.responses import Response

from chaosfuzz.reference import accounts, sessions
from chaosfuzz.reference.api.envelope import success
from chaosfuzz.reference.api.operation import Access, AnyOperation, Call, Operation
from chaosfuzz.reference.api.shapes import NoInput, PageQuery
from chaosfuzz.reference.api.user_shapes import (
    Ended,
    NewAccount,
    PasswordReset,
    ProfileChange,
    RoleChange,
    StatusChange,
    User,
    UserId,
    UserStats,
)
from chaosfuzz.reference.api_error import conflict, forbidden, user_not_found
from chaosfuzz.reference.database import Database
from chaosfuzz.reference.passwords import Passwords
from chaosfuzz.reference.roles import Role
from chaosfuzz.reference.sessions import Caller

Nothing = Call[NoInput, NoInput]


class UserAdministration:
    """Moderators manage users, admins everybody."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    def operations(self) -> list[AnyOperation]:
        """Every operation."""
        return [*self._of_moderators(), *self._of_admins()]

    def _of_moderators(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/users",
                name="list_users",
                summary="Users, newest first.",
                handler=self.newest,
                access=Access.MODERATOR,
                body=NoInput,
                query=PageQuery,
                data=list[User],
                tag="user administration",
            ),
            Operation(
                method="PUT",
                path="/users/{id}/status",
                name="change_user_status",
                summary="Suspend a user, which ends their sessions, or let them in again.",
                handler=self.change_status,
                access=Access.MODERATOR,
                body=StatusChange,
                query=NoInput,
                data=User,
                refusals=(404, 409),
                tag="user administration",
            ),
            Operation(
                method="POST",
                path="/users/{id}/reset-password",
                name="reset_user_password",
                summary="Give a user a new password; their sessions end.",
                handler=self.reset_password,
                access=Access.MODERATOR,
                body=PasswordReset,
                query=NoInput,
                data=Ended,
                refusals=(404,),
                tag="user administration",
            ),
        ]

    def _of_admins(self) -> list[AnyOperation]:
        return [
            Operation(
                method="POST",
                path="/users",
                name="create_user",
                summary="Make a user of any role.",
                handler=self.create,
                access=Access.ADMIN,
                body=NewAccount,
                query=NoInput,
                data=User,
                refusals=(409,),
                tag="user administration",
            ),
            Operation(
                method="PUT",
                path="/users/{id}/profile",
                name="change_user_profile",
                summary="Change a user's name or address.",
                handler=self.change_profile,
                access=Access.ADMIN,
                body=ProfileChange,
                query=NoInput,
                data=User,
                refusals=(404, 409),
                tag="user administration",
            ),
            Operation(
                method="PUT",
                path="/users/{id}/role",
                name="change_user_role",
                summary="Give a user a role; the last admin stays one.",
                handler=self.change_role,
                access=Access.ADMIN,
                body=RoleChange,
                query=NoInput,
                data=User,
                refusals=(404, 409),
                tag="user administration",
            ),
            Operation(
                method="DELETE",
                path="/users/{id}",
                name="delete_user",
                summary="Delete a user; their tasks stay and are nobody's.",
                handler=self.delete,
                access=Access.ADMIN,
                body=NoInput,
                query=NoInput,
                data=UserId,
                refusals=(404, 409),
                tag="user administration",
            ),
            Operation(
                method="GET",
                path="/admin/users/stats",
                name="user_stats",
                summary="How many users there are, by activity and role.",
                handler=self.stats,
                access=Access.ADMIN,
                body=NoInput,
                query=NoInput,
                data=UserStats,
                tag="user administration",
            ),
        ]

    async def newest(self, call: Call[NoInput, PageQuery]) -> Response:
        """A page of users."""
        limit, offset = call.query.limit, call.query.offset
        return success(
            await self._database.run(lambda each: accounts.list_users(each, limit, offset))
        )

    async def change_status(self, call: Call[StatusChange, NoInput]) -> Response:
        """Suspend a user or let them in again."""
        user, active = call.target, call.body.is_active
        await self._manageable(user, call.caller)
        row = await self._database.run(
            lambda each: accounts.change_status(each, user, active=active)
        )
        if not active and row is not None:
            await self._database.run(lambda each: sessions.end_all(each, user))
        return success(row or await self._why_not(user), "status changed")

    async def reset_password(self, call: Call[PasswordReset, NoInput]) -> Response:
        """Set a user's password."""
        user = call.target
        await self._manageable(user, call.caller)
        changed = await self._passwords.hashed(call.body.new_password)
        if not await self._database.run(lambda each: accounts.change_password(each, user, changed)):
            raise user_not_found()
        ended = await self._database.run(lambda each: sessions.end_all(each, user))
        return success({"sessions_ended": ended}, "password reset")

    async def create(self, call: Call[NewAccount, NoInput]) -> Response:
        """Insert a user."""
        user = accounts.NewUser(
            username=call.body.username,
            email=call.body.email,
            password_hash=await self._passwords.hashed(call.body.password),
            role=Role.of(call.body.role),
        )
        row = await self._database.run(lambda each: accounts.create(each, user))
        return success(row, "user created")

    async def change_profile(self, call: Call[ProfileChange, NoInput]) -> Response:
        """Change a user's name or address."""
        body, user = call.body, call.target
        row = await self._database.run(
            lambda each: accounts.change_profile(each, user, body.new_username, body.new_email)
        )
        if row is None:
            raise user_not_found()
        return success(row, "profile changed")

    async def change_role(self, call: Call[RoleChange, NoInput]) -> Response:
        """Give a user a role."""
        user, role = call.target, Role.of(call.body.role)
        row = await self._database.run(lambda each: accounts.change_role(each, user, role))
        return success(row or await self._why_not(user), "role changed")

    async def delete(self, call: Nothing) -> Response:
        """Delete a user."""
        user = call.target
        if not await self._database.run(lambda each: accounts.delete(each, user)):
            await self._why_not(user)
        return success({"id": user}, "user deleted")

    async def stats(self, _call: Nothing) -> Response:
        """How many users there are."""
        return success(await self._database.run(accounts.stats))

    async def _manageable(self, user_id: str, caller: Caller) -> None:
        row = await self._database.run(lambda each: accounts.get(each, user_id))
        if row is None:
            raise user_not_found()
        if caller.role is not Role.ADMIN and Role.of(row["role"]) >= caller.role:
            message = "moderators manage users, not moderators or admins"
            raise forbidden(message)

    async def _why_not(self, user_id: str) -> DictRow:
        """Say why nothing was changed: there is no such user, or it is the last admin."""
        if await self._database.run(lambda each: accounts.get(each, user_id)) is None:
            raise user_not_found()
        message = "the last admin has to stay an admin who can log in"
        raise conflict(message)
