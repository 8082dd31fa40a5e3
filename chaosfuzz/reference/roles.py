"""What users may do, from least to most."""

from enum import IntEnum


class Role(IntEnum):
    """A role has all that the ones below it have."""

    USER = 1
    MODERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """The role as the database and the API write it."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> "Role":
        """The role of that name."""
        return cls[word.upper()]


ROLES = tuple(role.word for role in Role)
