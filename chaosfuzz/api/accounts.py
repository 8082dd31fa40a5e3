"""Users of one's own on a server."""

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
    """Return a random password that meets the usual rules."""
    return f"Aa1-{secrets.token_urlsafe(18)}"


def sign_up(
    api: Api,
    *,
    prefix: str = DEFAULT_PREFIX,
    domain: str = DEFAULT_DOMAIN,
    password: str | None = None,
) -> Account:
    """Register a user with a fresh name, log in, and return both.

    Raises:
        UsageError: the server refuses name, address or password.
        InfrastructureError: no answer came, or not the one hoped for.

    """
    username = f"{prefix}_{secrets.token_hex(_SUFFIX_BYTES)}"
    email = f"{username}@{domain}"
    chosen = password if password is not None else new_password()
    wanted = {"username": username, "email": email, "password": chosen}
    answer = api.call("POST", "/auth/register", wanted)
    if answer.status in _REFUSED_INPUT:
        message = f"{api.base_url} refuses the user {username} <{email}>: {answer.refusal}"
        raise UsageError(cause=message, remedy="change --prefix, --domain or --password")
    if answer.status != 200:
        raise api.unexpected("POST /auth/register", answer)
    registered = answer.text("id") or answer.text("user", "id")
    token, known = log_in(api, username, chosen)
    user_id = known or registered
    if user_id is None:
        raise api.unexpected("POST /auth/register", answer)
    return Account(token=token, user_id=user_id, username=username, email=email, password=chosen)


def log_in(api: Api, username: str, password: str) -> tuple[str, str | None]:
    """Return the token of a new session, and whose it is if the server says so.

    Raises:
        UsageError: name or password are wrong.
        InfrastructureError: no answer came, or not the one hoped for.

    """
    answer = api.call("POST", "/auth/login", {"username": username, "password": password})
    token = answer.text("session_token") or answer.text("token")
    if answer.status == 401:
        message = f"{api.base_url} refuses {username}: {answer.refusal}"
        raise UsageError(cause=message, remedy="check the password")
    if answer.status != 200 or token is None:
        raise api.unexpected("POST /auth/login", answer)
    return token, answer.text("user", "id")
