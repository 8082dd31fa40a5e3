"""Speaks the HTTP API of a job system, the bundled one's or any other's that has it."""

from chaosfuzz.api.accounts import Account, sign_up
from chaosfuzz.api.answer import Answer
from chaosfuzz.api.checks import Check, check_api
from chaosfuzz.api.client import Api

__all__ = ["Account", "Answer", "Api", "Check", "check_api", "sign_up"]
