"""Registers users on a server, and logs them in."""

import secrets
from dataclasses import dataclass

from chaosfuzz.api.client import Api
from chaosfuzz.domain.errors import UsageError

DEFAULT_PREFIX = "chaosfuzz"
DEFAULT_DOMAIN = "example.com"
_SUFFIX_BYTES = 6
_REFUSED_INPUT = {400, 409, 422}


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user with a session."""

    token: str
    user_id: str
    username: str
    email: str
    password: str


def new_password() -> str:
    """Return a random password with upper and lower case letters, digits and a sign."""
    return f"Aa1-{secrets.token_urlsafe(18)}"


def sign_up(
    api: Api,
    *,
    prefix: str = DEFAULT_PREFIX,
    domain: str = DEFAULT_DOMAIN,
    password: str | None = None,
) -> Account:
    """Register a user and log in; return the user with the token of the session.

    The username is `prefix` with random digits, the address is at `domain`, and the password is
    random by default. Raises UsageError if the server refuses name, address or password, and
    InfrastructureError if no answer came, or an unexpected one.
    """
    username = f"{prefix}_{secrets.token_hex(_SUFFIX_BYTES)}"
    email = f"{username}@{domain}"
    chosen = password if password is not None else new_password()
    user = {"username": username, "email": email, "password": chosen}
    answer = api.call("POST", "/auth/register", user)
    if answer.status in _REFUSED_INPUT:
        cause = f"{api.base_url} refuses the user {username} <{email}>: {answer.refusal}"
        raise UsageError(cause=cause, remedy="change --prefix, --domain or --password")
    if answer.status != 200:
        raise api.unexpected("POST /auth/register", answer)
    registered_id = answer.text("id") or answer.text("user", "id")
    token, session_id = log_in(api, username, chosen)
    user_id = session_id or registered_id
    if user_id is None:
        raise api.unexpected("POST /auth/register", answer)
    return Account(token=token, user_id=user_id, username=username, email=email, password=chosen)


def log_in(api: Api, username: str, password: str) -> tuple[str, str | None]:
    """Return the token of a new session, and the user's id if the answer holds it.

    Raises UsageError if name or password are wrong, and InfrastructureError if no answer came, or
    an unexpected one.
    """
    answer = api.call("POST", "/auth/login", {"username": username, "password": password})
    if answer.status == 401:
        message = f"{api.base_url} refuses to log {username} in: {answer.refusal}"
        raise UsageError(cause=message, remedy="check the user's name and password")
    if answer.status != 200 or answer.session_token is None:
        raise api.unexpected("POST /auth/login", answer)
    return answer.session_token, answer.text("user", "id")
