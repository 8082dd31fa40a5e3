"""A client of the HTTP API of job systems: the bundled one, and others with the same API."""

from chaosfuzz.api.accounts import Account, sign_up
from chaosfuzz.api.answer import Answer
from chaosfuzz.api.checks import Check, check_api
from chaosfuzz.api.client import Api

__all__ = ["Account", "Answer", "Api", "Check", "check_api", "sign_up"]
