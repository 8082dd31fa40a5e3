"""What is asked and answered about users and sessions."""

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


def _good_enough(password: str) -> str:
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
        " not one that is among the first to be tried.",
        json_schema_extra={"writeOnly": True},
    ),
    AfterValidator(_good_enough),
]
GivenPassword = Annotated[
    str, Field(min_length=1, max_length=MAX_LENGTH, json_schema_extra={"writeOnly": True})
]


LoginName = Annotated[str, Field(min_length=1, max_length=254, pattern=WITHOUT_NUL)]


class Registration(Input):
    """A user to be."""

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
    """A user to be, made by an admin."""

    role: RoleName = "user"


class Login(Input):
    """Either a username or an email address, and the password."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["username"]}, {"required": ["email"]}]}
    )

    username: LoginName = "unset"
    email: LoginName = "unset"
    password: GivenPassword

    @model_validator(mode="after")
    def _one_of_both(self) -> "Login":
        if len(self.model_fields_set & {"username", "email"}) != 1:
            message = "log in by either username or email"
            raise ValueError(message)
        return self


class ProfileChange(Input):
    """A new name, a new address, or both."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["username"]}, {"required": ["email"]}]}
    )

    username: Username = "unset"
    email: Email = "unset@example.com"

    @model_validator(mode="after")
    def _something(self) -> "ProfileChange":
        if not self.model_fields_set & {"username", "email"}:
            message = "give a username, an email, or both"
            raise ValueError(message)
        return self

    @property
    def new_username(self) -> str | None:
        """The username if it is to change."""
        return self.username if "username" in self.model_fields_set else None

    @property
    def new_email(self) -> str | None:
        """The address if it is to change."""
        return self.email if "email" in self.model_fields_set else None


class PasswordChange(Input):
    """The password as it is and as it shall be."""

    current_password: GivenPassword
    new_password: NewPassword


class PasswordReset(Input):
    """The password as it shall be."""

    new_password: NewPassword


class StatusChange(Input):
    """Whether a user may log in."""

    is_active: bool


class RoleChange(Input):
    """What a user may do."""

    role: RoleName


class User(Output):
    """A user; the password is never shown."""

    id: UUID
    username: str
    email: str
    role: RoleName
    is_active: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None


class Session(Output):
    """A session that has begun; the token is shown this once."""

    session_token: str
    expires_at: datetime
    user: User


class Refreshed(Output):
    """How long a session lasts now; its token stays."""

    expires_at: datetime
    refreshed_at: datetime


class Ended(Output):
    """How many sessions ended."""

    sessions_ended: int


class UserId(Output):
    """Who it was."""

    id: UUID


class UserStats(Output):
    """How many users there are."""

    total: int
    active: int
    inactive: int
    user: int
    moderator: int
    admin: int
