"""Numbers in messages."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: '1 step', '2 steps'. Default plural: the noun with an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def in_attempt(number: int, before: str = " (", after: str = ")") -> str:
    """Return ' (attempt 2)', or '' for 0.

    0 stands for a task that never began, and for a target that does not count attempts.
    """
    return f"{before}attempt {number}{after}" if number else ""
