"""The rules for passwords."""

import re

# Chosen by hand.
MIN_LENGTH, MAX_LENGTH = 8, 128
_CLASSES = (
    re.compile(r"[a-z]"),
    re.compile(r"[A-Z]"),
    re.compile(r"[0-9]"),
    re.compile(r"[^a-zA-Z0-9]"),
)
_NEEDED_CLASSES = 3
# Common passwords that pass the other rules; upper and lower case count as equal.
_COMMON_WORDS = """
password1 password1! password12 password123 password123! password1234 passw0rd passw0rd!
p@ssword p@ssword1 p@ssw0rd p@ssw0rd1 p@ssw0rd123 qwerty123 qwerty123! qwerty1234 qwertyuiop1
1q2w3e4r 1qaz2wsx 1qaz@wsx zaq12wsx welcome1 welcome1! welcome123 welcome123! admin123
admin123! admin@123 administrator1 letmein1 letmein123 letmein1! iloveyou1 abc12345 abcd1234
abcd1234! abc123456 changeme1 changeme123 changeme1! summer2023 summer2024 winter2024
spring2024 monkey123 dragon123 football1 baseball1 superman1 trustno1 sunshine1 princess1
charlie1 michael1 test1234 test1234! temp1234 default1 login123 master123 hello123 secret123
"""
_COMMON = frozenset(_COMMON_WORDS.split())


def password_problem(password: str) -> str | None:
    """Return the first rule that a password breaks as a sentence, or None."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters"
    if sum(bool(each.search(password)) for each in _CLASSES) < _NEEDED_CLASSES:
        return "a password has three of: lower case letters, upper case letters, digits, others"
    if password.casefold() in _COMMON:
        return "this password is on a list of common passwords; choose another"
    return None
