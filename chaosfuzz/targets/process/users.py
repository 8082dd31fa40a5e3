"""Who the harness is to the target: users whose sessions come with the template database."""

from dataclasses import dataclass, field

from chaosfuzz.reference.roles import Role
from chaosfuzz.reference.seeding import user_script
from chaosfuzz.reference.sessions import new_token

NAMES = ("first", "second")
_MODERATOR = "moderator"


@dataclass(frozen=True, kw_only=True)
class Users:
    """Tokens of the users that create tasks, in their order, and of one who sees all tasks."""

    tokens: tuple[str, ...] = field(default_factory=lambda: tuple(new_token() for _ in NAMES))
    moderator: str = field(default_factory=new_token)

    def script(self) -> str:
        """Return the SQL that adds them, for a database with the schema."""
        of_users = (
            user_script(name, Role.USER, token)
            for name, token in zip(NAMES, self.tokens, strict=True)
        )
        return "".join((*of_users, user_script(_MODERATOR, Role.MODERATOR, self.moderator)))
