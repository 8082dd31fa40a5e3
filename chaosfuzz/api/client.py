"""Sends requests to the API. Each has a deadline, and none is retried."""

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import suppress

import httpx
from pydantic import TypeAdapter, ValidationError

from chaosfuzz.api.answer import Answer
from chaosfuzz.api.tasks import ListedTask, NewTask
from chaosfuzz.domain.errors import InfrastructureError, UsageError

PREFIX = "/api/v1"
TIMEOUT_S = 10.0
# The bundled server takes 500. A server that refuses it with 400 is asked for 100.
PAGE_SIZES = (500, 100)
_GET_TOKEN = "get a token with: chaosfuzz auth"
_LISTED = TypeAdapter(list[ListedTask])


class Api:
    """A connection to a server, with or without a user's token.

    The base URL may end with /api/v1. `timeout_s` bounds each phase of a request (connect, write,
    read).

    Raises UsageError if the URL is not that of a server, or the token cannot stand in a header.
    """

    def __init__(
        self, base_url: str, *, token: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        url = _parse_url(base_url)
        self.base_url = base_url.rstrip("/").removesuffix(PREFIX)
        self.token = token
        if token is not None and not (token.isascii() and token.isprintable()):
            cause = "the token holds characters that cannot stand in an HTTP header"
            raise UsageError(cause=cause, remedy=_GET_TOKEN)
        # A proxy that the environment names cannot reach the loopback of this machine.
        self._client = httpx.Client(timeout=timeout_s, trust_env=not _is_loopback(url.host))

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._client.close()

    def call(
        self, method: str, path: str, body: object = None, *, token: str | None = None
    ) -> Answer:
        """Send a request below /api/v1, by default with the client's token.

        Raises InfrastructureError if no answer came.
        """
        return self.call_root(method, PREFIX + path, body, token=token or self.token)

    def call_root(
        self, method: str, path: str, body: object = None, *, token: str | None = None
    ) -> Answer:
        """Send a request to any path, without a token unless one is given.

        Raises InfrastructureError if no answer came.
        """
        headers: Mapping[str, str] = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            response = self._client.request(
                method, self.base_url + path, headers=headers, json=body or None
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            cause = " ".join(str(error).split()) or type(error).__name__
            raise InfrastructureError(
                cause=f"no answer from {self.base_url}: {cause}",
                remedy="start the server (chaosfuzz up), or name another with --url",
            ) from error
        return Answer.of(response)

    def user_id(self) -> str:
        """Ask the server for the id of the token's user.

        Raises UsageError if the server refuses the token, and InfrastructureError if no answer
        came, or an unexpected one.
        """
        answer = self.call("GET", "/auth/me")
        self._check_token(answer)
        found = answer.text("id") or answer.text("user_id") or answer.text("user", "id")
        if answer.status != 200 or found is None:
            raise self.unexpected("GET /auth/me", answer)
        return found

    def create(self, task: NewTask) -> Answer:
        """Send the request that creates a task; the answer may be a refusal.

        Raises InfrastructureError if no answer came.
        """
        return self.call("POST", "/tasks", task.body())

    def tasks(self) -> Iterator[ListedTask]:
        """Yield the tasks that the token's user may see, newest first, none twice, page by page.

        Tasks may be missing if meanwhile others are deleted, or a page full of others is created.

        Raises UsageError if the server refuses the token, and InfrastructureError if no answer
        came, or an unexpected one.
        """
        seen: set[str] = set()
        offset, sizes = 0, list(PAGE_SIZES)
        while True:
            answer = self.call("GET", f"/tasks?limit={sizes[0]}&offset={offset}")
            self._check_token(answer)
            if answer.status == 400 and len(sizes) > 1:
                sizes.pop(0)
                continue
            try:
                page = _LISTED.validate_python(answer.data if answer.status == 200 else None)
            except ValidationError as error:
                raise self.unexpected("GET /tasks", answer) from error
            # A task that is created meanwhile pushes others to the next page, where they repeat.
            fresh = [task for task in page if task.id not in seen]
            seen.update(task.id for task in fresh)
            yield from fresh
            offset += len(page)
            # A server may cap pages below the size asked for, so a short page need not be the last.
            if not fresh:
                return

    def unexpected(self, asked: str, answer: Answer) -> InfrastructureError:
        """Return the error for an answer that lacks the expected status or content."""
        problem = answer.refusal if answer.status != 200 else "200 without the expected content"
        return InfrastructureError(
            cause=f"{self.base_url} answered {asked} with {problem}",
            remedy=(
                "look for the cause in the server's log; if the server is another program, name "
                "the right one with --url"
            ),
        )

    def token_refused(self, answer: Answer) -> UsageError:
        """Return the error for an answer that refuses the token."""
        cause = f"{self.base_url} refuses the token: {answer.refusal}"
        return UsageError(cause=cause, remedy=_GET_TOKEN)

    def _check_token(self, answer: Answer) -> None:
        if answer.status in {401, 403}:
            raise self.token_refused(answer)


def _parse_url(base_url: str) -> httpx.URL:
    with suppress(httpx.InvalidURL):
        url = httpx.URL(base_url)
        if url.scheme in {"http", "https"} and url.host and not url.query:
            return url
    cause = f"{base_url!r} is not the URL of a server (http:// or https://, a host, no query)"
    raise UsageError(cause=cause, remedy="write for example http://127.0.0.1:3000")


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
