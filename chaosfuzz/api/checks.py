"""The 44 checks of the guide's API test: a request each, and the statuses that pass."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chaosfuzz.api.accounts import log_in, new_password
from chaosfuzz.api.answer import Answer
from chaosfuzz.api.client import PREFIX, Api
from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError

NUMBER_OF_CHECKS = 44
NOBODY = "00000000-0000-0000-0000-000000000000"
UNREGISTERED = "type_that_nobody_registered"
Payload = dict[str, object]
_HEALTH = ("/health", "/health/detailed", "/health/live", "/health/ready", "/health/startup")


@dataclass(frozen=True, kw_only=True)
class Check:
    """The result of one check.

    `status` is None if no answer came; `detail` says why the check failed.
    """

    number: int
    name: str
    expected: tuple[int, ...]
    status: int | None
    passed: bool
    detail: str = ""


def check_api(
    base_url: str, *, moderator_token: str | None = None, timeout_s: float = 10.0
) -> Iterator[Check]:
    """Run the 44 checks in order, and yield each result at once. No failure ends the run early.

    The checks register a user and create a few tasks on the server. Only a moderator may read the
    counts of all tasks: without `moderator_token` the refusal of a user (403) passes too.
    `timeout_s` bounds each phase of a request.

    Raises UsageError if `base_url` is not the URL of a server.
    """
    with Api(base_url, timeout_s=timeout_s) as api:
        yield from _Checks(api, moderator_token).run()


class _Checks:
    """The checks of one run. Later checks use the user, sessions and tasks of earlier ones."""

    def __init__(self, api: Api, moderator_token: str | None) -> None:
        self._api = api
        self._moderator_token = moderator_token
        self._number = 0
        self._username = f"check_{secrets.token_hex(6)}"
        self._password = new_password()
        self._token: str | None = None
        self._last: Answer | None = None

    def run(self) -> Iterator[Check]:
        for path in _HEALTH:
            yield self._check(f"GET {path}", f"GET {path}")
        yield from self._account()
        yield from self._tasks()
        yield from self._sessions_end()
        yield from self._refusals()
        yield from self._types()

    def _account(self) -> Iterator[Check]:
        login = {"username": self._username, "password": self._password}
        user = {**login, "email": f"{self._username}@example.com"}
        yield self._check("register a user", "POST /auth/register", body=user)
        user_id = self._text("id") or self._text("user", "id")
        name = "log in, which gives a token"
        yield self._check(name, "POST /auth/login", body=login, needs="token")
        self._token = self._last.session_token if self._last is not None else None
        yield self._own("who am I", "GET /auth/me")
        user_id = self._text("id") or user_id
        yield self._own("refresh the session", "POST /auth/refresh")
        yield self._own("my own user", f"GET /users/{user_id}")
        yield self._own("a user who is not there", f"GET /users/{NOBODY}", 404)

    def _tasks(self) -> Iterator[Check]:
        yield self._stats("counts of tasks")
        yield self._check("task types, without a token", "GET /tasks/types")
        yield self._create("create a task of an unregistered type", UNREGISTERED, {}, 400)
        mail: Payload = {"to": "ada@example.com", "subject": "hello", "body": "hello"}
        yield self._create("create an email", "email", mail)
        mail_id = self._text("id")
        numbers: Payload = {"operation": "sum", "data": [1, 2, 3]}
        yield self._create("create an urgent task", "data_processing", numbers, priority="high")
        urgent_id = self._text("id")
        yield self._own("list tasks", "GET /tasks")
        yield self._own("get a task", f"GET /tasks/{mail_id}")
        yield self._stats("counts of tasks, again")
        yield self._own("cancel a task", f"POST /tasks/{mail_id}/cancel", 200, 400)
        yield self._own("list pending tasks", "GET /tasks?status=pending")
        yield self._own("list failed tasks", "GET /tasks?status=failed")
        yield self._own("dead letters", "GET /tasks/dead-letter")
        yield self._own("dead letters, a page", "GET /tasks/dead-letter?limit=5&offset=0")
        failing = {**mail, "body": "this one is to fail"}
        yield self._create("create an email that will fail", "email", failing)
        yield self._own("retry a task that has not failed", f"POST /tasks/{urgent_id}/retry", 404)
        yield self._own("delete a task", f"DELETE /tasks/{mail_id}", 200, 404)
        yield self._own("retry a task that is not there", f"POST /tasks/{NOBODY}/retry", 404)
        yield self._own("delete a task that is not there", f"DELETE /tasks/{NOBODY}", 404)

    def _sessions_end(self) -> Iterator[Check]:
        second = self._log_in()
        yield self._own("log out everywhere", "POST /auth/logout-all")
        yield self._check("the second session has ended", "GET /auth/me", 401, token=second)
        yield self._own("log out", "POST /auth/logout", 200, 401)

    def _refusals(self) -> Iterator[Check]:
        yield self._check("who am I, without a token", "GET /auth/me", 401)
        wrong = {"username": self._username, "password": "Wrong-Password-1"}
        yield self._check("log in with a wrong password", "POST /auth/login", 401, body=wrong)
        bad = {"username": "x", "email": "no address", "password": "short"}
        yield self._check("register with bad input", "POST /auth/register", 400, body=bad)
        yield self._check("a path that is not there", "GET /nothing-here", 404)
        yield self._check("the page of the API", "GET /api-docs", root=True)
        document = "GET /api-docs/openapi.json"
        yield self._check("the OpenAPI document", document, root=True, needs="openapi")
        yield self._check("admin's health, without a token", "GET /admin/health", 401)

    def _types(self) -> Iterator[Check]:
        self._token = self._log_in()
        hook: Payload = {"url": "https://example.com/hook", "method": "POST"}
        yield self._create("create a webhook", "webhook", hook)
        old: Payload = {"file_path": "old", "max_age_hours": 24}
        yield self._create("create a file cleanup", "file_cleanup", old)
        yield self._create("create a report", "report_generation", {"report_type": "sales"})
        yield self._create("create a task of an unknown type", UNREGISTERED + "_2", {}, 400)
        yield self._own("admin's health, as a user", "GET /admin/health", 401, 403)

    def _stats(self, name: str) -> Check:
        if self._moderator_token is not None:
            return self._check(name, "GET /tasks/stats", token=self._moderator_token)
        return self._own(name, "GET /tasks/stats", 200, 403)

    def _create(
        self,
        name: str,
        task_type: str,
        payload: Payload,
        *expected: int,
        priority: str | None = None,
    ) -> Check:
        body: Payload = {"task_type": task_type, "payload": payload}
        body |= {"priority": priority} if priority else {}
        needs = "" if expected else "id"
        return self._check(
            name, "POST /tasks", *expected, body=body, token=self._token, needs=needs
        )

    def _own(self, name: str, request: str, *expected: int) -> Check:
        """Send a request with the user's token."""
        return self._check(name, request, *expected, token=self._token)

    def _check(
        self,
        name: str,
        request: str,
        *expected: int,
        body: Mapping[str, object] | None = None,
        token: str | None = None,
        root: bool = False,
        needs: str = "",
    ) -> Check:
        """Send a request (method and path) and judge the answer.

        `expected` are the statuses that pass, 200 by default. With `root` the path is not below
        /api/v1. `needs` names something that the answer has to hold: token, id or openapi.
        """
        self._number += 1
        wanted = expected or (200,)
        method, path = request.split(" ")
        self._last, detail = None, ""
        try:
            full = path if root else PREFIX + path
            self._last = self._api.call_root(method, full, body, token=token or None)
        except InfrastructureError as error:
            detail = error.cause
        else:
            detail = _problem(self._last, wanted, root=root) or _missing(self._last, needs)
        return Check(
            number=self._number,
            name=name,
            expected=wanted,
            status=self._last.status if self._last is not None else None,
            passed=not detail,
            detail=detail,
        )

    def _text(self, *names: str) -> str | None:
        return self._last.text(*names) if self._last is not None else None

    def _log_in(self) -> str | None:
        """Return the token of another session, or None, which fails the checks that use it."""
        try:
            return log_in(self._api, self._username, self._password)[0]
        except ChaosfuzzError:
            return None


def _problem(answer: Answer, expected: tuple[int, ...], *, root: bool) -> str:
    if answer.status not in expected:
        wanted = " or ".join(str(status) for status in expected)
        return f"expected {wanted}, got {answer.refusal}"
    if not root and not answer.has_envelope:
        return f"{answer.status} without the envelope of the API"
    return ""


def _missing(answer: Answer, needs: str) -> str:
    if needs == "token" and answer.session_token is None:
        return "no session_token in the answer"
    if needs == "id" and answer.text("id") is None:
        return "no id in the answer"
    content = answer.content
    if needs == "openapi" and not (isinstance(content, dict) and "openapi" in content):
        return "this is no OpenAPI document"
    return ""
