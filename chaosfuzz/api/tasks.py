"""Tasks as a server takes and lists them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class NewTask:
    """A task to be created."""

    task_type: str
    payload: Mapping[str, object]
    priority: str | None = None
    tag: str | None = None

    def body(self) -> dict[str, object]:
        """Return the body of the request that creates it, without the fields that are None."""
        body: dict[str, object] = {"task_type": self.task_type, "payload": dict(self.payload)}
        if self.priority is not None:
            body["priority"] = self.priority
        if self.tag is not None:
            body["metadata"] = {"tag": self.tag}
        return body


@dataclass(frozen=True, kw_only=True)
class ListedTask:
    """A task in a server's list. Its other fields are ignored."""

    id: str
    status: str
    metadata: Mapping[str, Any] | None = field(default=None)

    @property
    def tag(self) -> str | None:
        """The tag in `metadata`, None if there is none."""
        tag = self.metadata.get("tag") if self.metadata else None
        return tag if isinstance(tag, str) else None
