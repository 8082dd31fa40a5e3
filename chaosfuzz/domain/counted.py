"""Counts in sentences."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return the number with the noun in the form it asks for: '1 step', '2 steps'.

    Without a plural of its own the noun takes an s.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def in_attempt(number: int, before: str = " (", after: str = ")") -> str:
    """Return ' (attempt 2)', or nothing for 0.

    0 attempts are told of a task that never began, and by a target that does not count attempts.
    """
    return f"{before}attempt {number}{after}" if number else ""
