"""A client of the API: one request at a time, each with a deadline, none retried."""

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import TracebackType

import httpx
from pydantic import TypeAdapter, ValidationError

from chaosfuzz.api.answer import Answer
from chaosfuzz.api.tasks import ListedTask, NewTask
from chaosfuzz.domain.errors import InfrastructureError, UsageError

PREFIX = "/api/v1"
TIMEOUT_S = 10.0
# Larger pages are refused by some servers, or cut short without a word.
PAGE_SIZES = (500, 100)
_LISTED = TypeAdapter(list[ListedTask])


class Api:
    """A server at a base URL, spoken to with a token or without.

    Raises:
        UsageError: the URL is none of a server.

    """

    def __init__(
        self, base_url: str, *, token: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        url = _checked(base_url)
        # With or without the prefix that all paths have: both are written down as the API's URL.
        self.base_url = base_url.rstrip("/").removesuffix(PREFIX)
        self.token = token
        if token is not None and not (token.isascii() and token.isprintable()):
            message = "the token holds characters that no header may have"
            raise UsageError(cause=message, remedy="get a token with: chaosfuzz auth")
        # A proxy that the environment names is of no use for this machine's own servers.
        self._client = httpx.Client(timeout=timeout_s, trust_env=not _is_loopback(url.host))

    def __enter__(self) -> "Api":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def call(
        self, method: str, path: str, body: object = None, *, token: str | None = None
    ) -> Answer:
        """Send a request below /api/v1, by default with the client's token.

        Raises:
            InfrastructureError: no answer came.

        """
        return self.call_root(method, PREFIX + path, body, token=token or self.token)

    def call_root(
        self, method: str, path: str, body: object = None, *, token: str | None = None
    ) -> Answer:
        """Send a request to any path, without a token unless one is given.

        Raises:
            InfrastructureError: no answer came.

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
                remedy="start it (chaosfuzz up) or name another with --url",
            ) from error
        return Answer.of(response)

    def user_id(self) -> str:
        """Return whose token it is, which shows that it is good.

        Raises:
            UsageError: the server knows no such token.
            InfrastructureError: no answer came, or not the one hoped for.

        """
        answer = self.call("GET", "/auth/me")
        self._expect_authorized(answer)
        found = answer.text("id") or answer.text("user_id") or answer.text("user", "id")
        if answer.status != 200 or found is None:
            raise self.unexpected("GET /auth/me", answer)
        return found

    def create(self, task: NewTask) -> Answer:
        """Ask for a task; the answer's data is the task or its id.

        Raises:
            InfrastructureError: no answer came.

        """
        return self.call("POST", "/tasks", task.body())

    def tasks(self) -> Iterator[ListedTask]:
        """Yield every task that the token's owner sees, each once.

        Raises:
            UsageError: the server knows no such token.
            InfrastructureError: no answer came, or not the one hoped for.

        """
        seen: set[str] = set()
        offset, sizes = 0, list(PAGE_SIZES)
        while True:
            answer = self.call("GET", f"/tasks?limit={sizes[0]}&offset={offset}")
            self._expect_authorized(answer)
            if answer.status == 400 and len(sizes) > 1:
                sizes.pop(0)
                continue
            try:
                page = _LISTED.validate_python(answer.data if answer.status == 200 else None)
            except ValidationError as error:
                raise self.unexpected("GET /tasks", answer) from error
            # What is created meanwhile pushes tasks to the next page, where they come again.
            fresh = [task for task in page if task.id not in seen]
            seen.update(task.id for task in fresh)
            yield from fresh
            offset += len(page)
            # A short page need not be the last one.
            if not fresh:
                return

    def unexpected(self, asked: str, answer: Answer) -> InfrastructureError:
        """Return the error that an answer of no use is."""
        said = answer.refusal if answer.status != 200 else "200 without what was asked for"
        return InfrastructureError(
            cause=f"{self.base_url} answered {asked} with {said}",
            remedy=(
                "look for the cause in the server's log; if the server is another program, name "
                "the right one with --url"
            ),
        )

    def _expect_authorized(self, answer: Answer) -> None:
        if answer.status in {401, 403}:
            message = f"{self.base_url} does not take the token: {answer.refusal}"
            raise UsageError(cause=message, remedy="get one with: chaosfuzz auth")


def _checked(base_url: str) -> httpx.URL:
    with suppress(httpx.InvalidURL):
        url = httpx.URL(base_url)
        if url.scheme in {"http", "https"} and url.host and not url.query:
            return url
    message = f"{base_url!r} is not the URL of a server"
    raise UsageError(cause=message, remedy="write for example http://127.0.0.1:3000")


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
