"""The users as whom the harness calls the API; the template database has their sessions."""

from dataclasses import dataclass, field

from chaosfuzz.reference.roles import Role
from chaosfuzz.reference.sessions import new_token, user_script

NAMES = ("first", "second")
_MODERATOR = "moderator"


@dataclass(frozen=True, kw_only=True)
class Users:
    """Session tokens of the users who create tasks, and of a moderator, who sees all tasks."""

    tokens: tuple[str, ...] = field(default_factory=lambda: tuple(new_token() for _ in NAMES))
    moderator: str = field(default_factory=new_token)

    def script(self) -> str:
        """Return the SQL that adds the users and their sessions to a database with the schema."""
        users = zip(NAMES, self.tokens, strict=True)
        scripts = [user_script(name, Role.USER, token) for name, token in users]
        return "".join((*scripts, user_script(_MODERATOR, Role.MODERATOR, self.moderator)))
