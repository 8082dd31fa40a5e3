"""The roles of users, each with the rights of all roles before it."""

from enum import IntEnum


class Role(IntEnum):
    """A role of a user, ordered by rights."""

    USER = 1
    MODERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """The role's name in the database and the API."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> "Role":
        """Return the role with that name."""
        return cls[word.upper()]


ROLES = tuple(role.word for role in Role)
