"""What a server answered, read with as little trust as possible."""

import json
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A status and a body; `content` is what the body says as JSON, None if it says nothing."""

    status: int
    content: object

    @classmethod
    def of(cls, response: httpx.Response) -> "Answer":
        """Read a response; a body that is no JSON counts as none."""
        try:
            content = json.loads(response.content)
        except ValueError:
            content = None
        return cls(status=response.status_code, content=content)

    @property
    def data(self) -> object:
        """What the envelope holds, None if there is no envelope or nothing in it."""
        return self.content.get("data") if isinstance(self.content, dict) else None

    def text(self, *names: str) -> str | None:
        """Return the text at this place within the data, None if there is none."""
        found = self.data
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, str) and found else None

    @property
    def refusal(self) -> str:
        """Why the server refused, as `401 INVALID_CREDENTIALS: ...`, as far as it says."""
        error = self.content.get("error") if isinstance(self.content, dict) else None
        if not isinstance(error, dict):
            return str(self.status)
        return f"{self.status} {error.get('code', '')}: {error.get('message', '')}"

    @property
    def has_envelope(self) -> bool:
        """Whether the body has the shape that its status asks for."""
        if not isinstance(self.content, dict):
            return False
        if self.status < 300:
            return self.content.get("success") is not False and "error" not in self.content
        error = self.content.get("error")
        return isinstance(error, dict) and isinstance(error.get("code"), str)
