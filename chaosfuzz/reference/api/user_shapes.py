"""Inputs and outputs of the operations on users and sessions."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from chaosfuzz.reference.api.shapes import WITHOUT_NUL, Input, Output
from chaosfuzz.reference.password_rules import MAX_LENGTH, MIN_LENGTH, password_problem

_ADDRESS = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"
RoleName = Literal["user", "moderator", "admin"]
Username = Annotated[str, Field(min_length=3, max_length=50, pattern="^[A-Za-z0-9_-]+$")]
Email = Annotated[str, Field(min_length=5, max_length=254, pattern=_ADDRESS)]


def _checked_password(password: str) -> str:
    problem = password_problem(password)
    if problem:
        raise ValueError(problem)
    return password


NewPassword = Annotated[
    str,
    Field(
        min_length=MIN_LENGTH,
        max_length=MAX_LENGTH,
        description="Three of: lower case letters, upper case letters, digits, others;"
        " no common password.",
        json_schema_extra={"writeOnly": True},
    ),
    AfterValidator(_checked_password),
]
GivenPassword = Annotated[
    str, Field(min_length=1, max_length=MAX_LENGTH, json_schema_extra={"writeOnly": True})
]
LoginName = Annotated[str, Field(min_length=1, max_length=254, pattern=WITHOUT_NUL)]


class Registration(Input):
    """A new account."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"username": "ada", "email": "ada@example.com", "password": "Correct-Horse-7"}
            ]
        }
    )

    username: Username
    email: Email
    password: NewPassword


class NewAccount(Registration):
    """A new account that an admin creates."""

    role: RoleName = "user"


class Login(Input):
    """A username or an email address, and the password."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["username"]}, {"required": ["email"]}]}
    )

    username: LoginName = "unset"
    email: LoginName = "unset"
    password: GivenPassword

    @model_validator(mode="after")
    def _check_one_name(self) -> "Login":
        if len(self.model_fields_set & {"username", "email"}) != 1:
            raise ValueError("give either username or email, not both")
        return self


class ProfileChange(Input):
    """A new name, a new address, or both."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["username"]}, {"required": ["email"]}]}
    )

    username: Username = "unset"
    email: Email = "unset@example.com"

    @model_validator(mode="after")
    def _check_any_change(self) -> "ProfileChange":
        if not self.model_fields_set & {"username", "email"}:
            raise ValueError("give a username, an email, or both")
        return self

    @property
    def new_username(self) -> str | None:
        """The new username, or None to keep the present one."""
        return self.username if "username" in self.model_fields_set else None

    @property
    def new_email(self) -> str | None:
        """The new address, or None to keep the present one."""
        return self.email if "email" in self.model_fields_set else None


class PasswordChange(Input):
    """The present password and the new one."""

    current_password: GivenPassword
    new_password: NewPassword


class PasswordReset(Input):
    """A new password."""

    new_password: NewPassword


class StatusChange(Input):
    """Whether a user may log in."""

    is_active: bool


class RoleChange(Input):
    """A new role."""

    role: RoleName


class User(Output):
    """A user, without the password."""

    id: UUID
    username: str
    email: str
    role: RoleName
    is_active: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None


class Session(Output):
    """A new session; no other reply shows its token."""

    session_token: str
    expires_at: datetime
    user: User


class Refreshed(Output):
    """The new end of a session; the token stays the same."""

    expires_at: datetime
    refreshed_at: datetime


class Ended(Output):
    """The number of sessions that ended."""

    sessions_ended: int


class UserId(Output):
    """The id of a user who was deleted."""

    id: UUID


class UserStats(Output):
    """The number of users, by activity and by role."""

    total: int
    active: int
    inactive: int
    user: int
    moderator: int
    admin: int
