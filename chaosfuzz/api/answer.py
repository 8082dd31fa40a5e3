"""A server's answer. Its body may have any shape, so every reader of it checks types."""

import json
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A status and the body as JSON; `content` is None if the body is no JSON."""

    status: int
    content: object

    @classmethod
    def of(cls, response: httpx.Response) -> "Answer":
        """Return the answer in a response."""
        try:
            content = json.loads(response.content)
        except ValueError:
            content = None
        return cls(status=response.status_code, content=content)

    @property
    def data(self) -> object:
        """The key `data` of the body, None if it is missing."""
        return self.content.get("data") if isinstance(self.content, dict) else None

    def text(self, *names: str) -> str | None:
        """Return the text at these nested keys of the data, None if it is missing or empty."""
        found = self.data
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, str) and found else None

    @property
    def session_token(self) -> str | None:
        """The token of a new session, None if the answer holds none."""
        return self.text("session_token") or self.text("token")

    @property
    def refusal(self) -> str:
        """The status with the error's code and message, as `401 INVALID_CREDENTIALS: ...`."""
        error = self.content.get("error") if isinstance(self.content, dict) else None
        if not isinstance(error, dict):
            return str(self.status)
        return f"{self.status} {error.get('code', '')}: {error.get('message', '')}"

    @property
    def has_envelope(self) -> bool:
        """Whether the body is a success or an error in the API's form, as its status demands."""
        if not isinstance(self.content, dict):
            return False
        if self.status < 300:
            return self.content.get("success") is not False and "error" not in self.content
        error = self.content.get("error")
        return isinstance(error, dict) and isinstance(error.get("code"), str)
