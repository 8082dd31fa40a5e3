"""The 44 checks of the guide's API test: what each asks, and which statuses answer it well."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from chaosfuzz.api.accounts import new_password
from chaosfuzz.api.answer import Answer
from chaosfuzz.api.client import PREFIX, Api
from chaosfuzz.domain.errors import InfrastructureError

NUMBER_OF_CHECKS = 44
NOBODY = "00000000-0000-0000-0000-000000000000"
UNREGISTERED = "type_that_nobody_registered"
_HEALTH = ("/health", "/health/detailed", "/health/live", "/health/ready", "/health/startup")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check and how it went; without an answer `status` is None."""

    number: int
    name: str
    expected: tuple[int, ...]
    status: int | None
    passed: bool
    detail: str = ""


def check_api(
    base_url: str, *, moderator_token: str | None = None, timeout_s: float = 10.0
) -> Iterator[Check]:
    """Yield the 44 checks in their order, each as soon as it is done; all are always yielded.

    A user of its own is registered and a few tasks are created. The counts of all tasks are a
    moderator's to read: without `moderator_token` a user's refusal (403) passes as well.

    Raises:
        UsageError: `base_url` is no URL of a server.

    """
    with Api(base_url, timeout_s=timeout_s) as api:
        yield from _Checks(api, moderator_token).run()


class _Checks:
    """What later checks need of earlier ones: a user, two sessions, a few tasks."""

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
            yield self._check(f"GET {path}", path)
        yield from self._account()
        yield from self._tasks()
        yield from self._sessions_end()
        yield from self._refusals()
        yield from self._types()

    def _account(self) -> Iterator[Check]:
        me = {
            "username": self._username,
            "email": f"{self._username}@example.com",
            "password": self._password,
        }
        yield self._check("register a user", "/auth/register", body=me)
        user_id = self._text("id") or self._text("user", "id")
        login = {"username": self._username, "password": self._password}
        yield self._check("log in, which gives a token", "/auth/login", body=login, needs="token")
        self._token = self._session_token()
        yield self._check("who am I", "/auth/me", token=self._token)
        user_id = self._text("id") or user_id
        yield self._check("refresh the session", "/auth/refresh", method="POST", token=self._token)
        yield self._check("my own user", f"/users/{user_id}", token=self._token)
        yield self._check("a user who is not there", f"/users/{NOBODY}", 404, token=self._token)

    def _tasks(self) -> Iterator[Check]:
        yield self._stats("counts of tasks")
        yield self._check("task types, without a token", "/tasks/types")
        yield self._create("create a task of an unregistered type", UNREGISTERED, {}, 400)
        mail: dict[str, object] = {"to": "ada@example.com", "subject": "hello", "body": "hello"}
        yield self._create("create an email", "email", mail)
        mail_id = self._text("id")
        numbers: dict[str, object] = {"operation": "sum", "data": [1, 2, 3]}
        yield self._create("create an urgent task", "data_processing", numbers, priority="high")
        urgent_id = self._text("id")
        yield self._check("list tasks", "/tasks", token=self._token)
        yield self._check("get a task", f"/tasks/{mail_id}", token=self._token)
        yield self._stats("counts of tasks, again")
        cancel = f"/tasks/{mail_id}/cancel"
        yield self._check("cancel a task", cancel, 200, 400, method="POST", token=self._token)
        for status in ("pending", "failed"):
            name = f"list {status} tasks"
            yield self._check(name, f"/tasks?status={status}", token=self._token)
        yield self._check("dead letters", "/tasks/dead-letter", token=self._token)
        paged = "/tasks/dead-letter?limit=5&offset=0"
        yield self._check("dead letters, a page", paged, token=self._token)
        failing = {**mail, "body": "this one is to fail"}
        yield self._create("create an email that will fail", "email", failing)
        retry = f"/tasks/{urgent_id}/retry"
        name = "retry a task that has not failed"
        yield self._check(name, retry, 404, method="POST", token=self._token)
        one = f"/tasks/{mail_id}"
        yield self._check("delete a task", one, 200, 404, method="DELETE", token=self._token)
        nobody = f"/tasks/{NOBODY}"
        name = "retry a task that is not there"
        yield self._check(name, f"{nobody}/retry", 404, method="POST", token=self._token)
        name = "delete a task that is not there"
        yield self._check(name, nobody, 404, method="DELETE", token=self._token)

    def _sessions_end(self) -> Iterator[Check]:
        second = self._log_in()
        name = "log out everywhere"
        yield self._check(name, "/auth/logout-all", method="POST", token=self._token)
        yield self._check("the second session has ended", "/auth/me", 401, token=second)
        logout = "/auth/logout"
        yield self._check("log out", logout, 200, 401, method="POST", token=self._token)

    def _refusals(self) -> Iterator[Check]:
        yield self._check("who am I, without a token", "/auth/me", 401, token=None)
        wrong = {"username": self._username, "password": "Wrong-Password-1"}
        yield self._check("log in with a wrong password", "/auth/login", 401, body=wrong)
        bad = {"username": "x", "email": "no address", "password": "short"}
        yield self._check("register with bad input", "/auth/register", 400, body=bad)
        yield self._check("a path that is not there", "/nothing-here", 404)
        yield self._check("the page of the API", "/api-docs", root=True)
        document = "/api-docs/openapi.json"
        yield self._check("the OpenAPI document", document, root=True, needs="openapi")
        yield self._check("admin's health, without a token", "/admin/health", 401)

    def _types(self) -> Iterator[Check]:
        self._token = self._log_in()
        hook: dict[str, object] = {"url": "https://example.com/hook", "method": "POST"}
        yield self._create("create a webhook", "webhook", hook)
        old: dict[str, object] = {"file_path": "old", "max_age_hours": 24}
        yield self._create("create a file cleanup", "file_cleanup", old)
        sales: dict[str, object] = {"report_type": "sales"}
        yield self._create("create a report", "report_generation", sales)
        yield self._create("create a task of an unknown type", UNREGISTERED + "_2", {}, 400)
        yield self._check("admin's health, as a user", "/admin/health", 401, 403, token=self._token)

    def _stats(self, name: str) -> Check:
        if self._moderator_token is not None:
            return self._check(name, "/tasks/stats", token=self._moderator_token)
        return self._check(name, "/tasks/stats", 200, 403, token=self._token)

    def _create(
        self,
        name: str,
        task_type: str,
        payload: dict[str, object],
        *expected: int,
        priority: str | None = None,
    ) -> Check:
        body: dict[str, object] = {"task_type": task_type, "payload": payload}
        body |= {"priority": priority} if priority else {}
        needs = "" if expected else "id"
        return self._check(name, "/tasks", *expected, body=body, token=self._token, needs=needs)

    def _check(
        self,
        name: str,
        path: str,
        *expected: int,
        method: str = "GET",
        body: dict[str, object] | dict[str, str] | None = None,
        token: str | None = None,
        root: bool = False,
        needs: str = "",
    ) -> Check:
        self._number += 1
        wanted = expected or (200,)
        verb = "POST" if body is not None else method
        self._last, detail = None, ""
        try:
            full = path if root else PREFIX + path
            self._last = self._api.call_root(verb, full, body, token=token or None)
        except InfrastructureError as error:
            detail = error.cause
        else:
            detail = _problem(self._last, wanted, root=root) or self._missing(needs)
        return Check(
            number=self._number,
            name=name,
            expected=wanted,
            status=self._last.status if self._last is not None else None,
            passed=not detail,
            detail=detail,
        )

    def _missing(self, needs: str) -> str:
        if needs == "token" and self._session_token() is None:
            return "no session_token in the answer"
        if needs == "id" and self._text("id") is None:
            return "no id in the answer"
        if needs == "openapi":
            content = self._last.content if self._last is not None else None
            if not (isinstance(content, dict) and "openapi" in content):
                return "this is no OpenAPI document"
        return ""

    def _text(self, *names: str) -> str | None:
        return self._last.text(*names) if self._last is not None else None

    def _session_token(self) -> str | None:
        return self._text("session_token") or self._text("token")

    def _log_in(self) -> str | None:
        """Begin another session, which is no check; without one those that need it fail."""
        login = {"username": self._username, "password": self._password}
        try:
            answer = self._api.call_root("POST", f"{PREFIX}/auth/login", login)
        except InfrastructureError:
            return None
        return answer.text("session_token") or answer.text("token")


def _problem(answer: Answer, expected: tuple[int, ...], *, root: bool) -> str:
    if answer.status not in expected:
        wanted = " or ".join(str(status) for status in expected)
        return f"expected {wanted}, got {answer.refusal}"
    if not root and not answer.has_envelope:
        return f"{answer.status} without the envelope of the API"
    return ""
