"""What users do with their own accounts."""

from starlette.responses import Response

from chaosfuzz.reference import accounts, sessions
from chaosfuzz.reference.api.envelope import success
from chaosfuzz.reference.api.operation import AnyOperation, Call, Operation
from chaosfuzz.reference.api.shapes import NoInput
from chaosfuzz.reference.api.user_shapes import Ended, PasswordChange, ProfileChange, User, UserId
from chaosfuzz.reference.api_error import conflict, unauthorized, user_not_found
from chaosfuzz.reference.database import Database
from chaosfuzz.reference.passwords import Passwords
from chaosfuzz.reference.roles import Role

Nothing = Call[NoInput, NoInput]


class UserOperations:
    """A user's own account."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    def operations(self) -> list[AnyOperation]:
        """Every operation."""
        return [
            Operation(
                method="GET",
                path="/users/{id}",
                name="get_user",
                summary="A user: yourself, or anybody for moderators.",
                handler=self.get,
                body=NoInput,
                query=NoInput,
                data=User,
                refusals=(404,),
                tag="users",
            ),
            Operation(
                method="GET",
                path="/users/me/profile",
                name="get_profile",
                summary="Your profile.",
                handler=self.profile,
                body=NoInput,
                query=NoInput,
                data=User,
                refusals=(404,),
                tag="users",
            ),
            Operation(
                method="PUT",
                path="/users/me/profile",
                name="change_profile",
                summary="Change your name or address.",
                handler=self.change_profile,
                body=ProfileChange,
                query=NoInput,
                data=User,
                refusals=(404, 409),
                tag="users",
            ),
            Operation(
                method="PUT",
                path="/users/me/password",
                name="change_password",
                summary="Change your password; your other sessions end.",
                handler=self.change_password,
                body=PasswordChange,
                query=NoInput,
                data=Ended,
                tag="users",
            ),
            Operation(
                method="DELETE",
                path="/users/me",
                name="delete_me",
                summary="Delete your account; your tasks stay and are nobody's.",
                handler=self.delete,
                body=NoInput,
                query=NoInput,
                data=UserId,
                refusals=(409,),
                tag="users",
            ),
        ]

    async def get(self, call: Nothing) -> Response:
        """One user, if the caller may know of them."""
        if call.target != call.caller.user_id and call.caller.role < Role.MODERATOR:
            raise user_not_found()
        return await self._show(call.target)

    async def profile(self, call: Nothing) -> Response:
        """The caller."""
        return await self._show(call.caller.user_id)

    async def change_profile(self, call: Call[ProfileChange, NoInput]) -> Response:
        """Change the caller's name or address."""
        body, user = call.body, call.caller.user_id
        row = await self._database.run(
            lambda each: accounts.change_profile(each, user, body.new_username, body.new_email)
        )
        if row is None:
            raise user_not_found()
        return success(row, "profile changed")

    async def change_password(self, call: Call[PasswordChange, NoInput]) -> Response:
        """Change the caller's password, given the present one."""
        user, session = call.caller.user_id, call.caller.session_id
        found = await self._database.run(lambda each: accounts.credentials(each, "id", user))
        kept = None if found is None else found.password_hash
        if not await self._passwords.matches(kept, call.body.current_password):
            message = "this is not your password"
            raise unauthorized(message, "INVALID_CREDENTIALS")
        changed = await self._passwords.hashed(call.body.new_password)
        await self._database.run(lambda each: accounts.change_password(each, user, changed))
        ended = await self._database.run(lambda each: sessions.end_all(each, user, session))
        return success({"sessions_ended": ended}, "password changed")

    async def delete(self, call: Nothing) -> Response:
        """Delete the caller."""
        user = call.caller.user_id
        if not await self._database.run(lambda each: accounts.delete(each, user)):
            if call.caller.role is Role.ADMIN:
                message = "the last admin has to stay"
                raise conflict(message)
            message = "the account has just been deleted"
            raise unauthorized(message)
        return success({"id": user}, "account deleted")

    async def _show(self, user_id: str) -> Response:
        row = await self._database.run(lambda each: accounts.get(each, user_id))
        if row is None:
            raise user_not_found()
        return success(row)
