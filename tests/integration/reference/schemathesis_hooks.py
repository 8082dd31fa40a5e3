"""Hooks of schemathesis: every request comes from a fresh user, so none ends another's session.

The role is in FUZZ_ROLE, the database in FUZZ_DSN. Bodies of creations name a registered type
now and then, as nothing else gets far.
"""

import itertools
import os
import re

import psycopg
import schemathesis

from chaosfuzz.reference.roles import Role
from chaosfuzz.reference.sessions import new_token, user_script

TYPE_NAME = r"[A-Za-z0-9_-]{1,128}"
NUMBERS = itertools.count(1)
ROLE = os.environ["FUZZ_ROLE"]
CONNECTION = psycopg.connect(os.environ["FUZZ_DSN"], autocommit=True)

if ROLE != "nobody":

    @schemathesis.auth(refresh_interval=None)
    class FreshUser:
        def get(self, case: schemathesis.Case, context: schemathesis.AuthContext) -> str:
            token = new_token()
            name = f"{ROLE}_{os.getpid()}_{next(NUMBERS)}"
            CONNECTION.execute(user_script(name, Role.of(ROLE), token).encode())
            return token

        def set(
            self, case: schemathesis.Case, data: str, context: schemathesis.AuthContext
        ) -> None:
            case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: object) -> object:
    # What is no name of a type at all is sent as it is, to be refused.
    named = isinstance(body, dict) and _is_name(body.get("task_type"))
    if named and context.operation.label == "POST /api/v1/tasks" and next(NUMBERS) % 2:
        return {**body, "task_type": "probe"}
    return body


def _is_name(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(TYPE_NAME, value) is not None
