"""One request of a component, from its arrival at the proxy to its end."""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from chaosfuzz.wire import binding
from chaosfuzz.wire.statement import Statement

if TYPE_CHECKING:
    from chaosfuzz.wire.rules import Rule


class RequestKind(Enum):
    """The kind of message, or of message exchange, that makes the request."""

    CONNECT = "connect"
    CANCEL = "cancel"
    QUERY = "query"
    EXECUTE = "execute"
    FUNCTION = "function"
    HTTP = "http"


class Status(Enum):
    """How a request ended.

    SKIPPED: an earlier request of its pipeline failed. CUT: the connection was lost.
    """

    OK = "ok"
    ERROR = "error"
    SKIPPED = "skipped"
    CUT = "cut"


@dataclass(slots=True, eq=False, kw_only=True)
class Event:
    """A request. `nth` counts its key in the component's incarnation; see Component.new_event.

    `text` is the SQL text or the first line of the HTTP request; of a text over 64 kB it is the
    beginning. `bind` is the body of the Bind message. `arrived_ns` is in monotonic time. `status`
    is None until the request has ended; then `detail` has the command tags, the SQLSTATE or the
    HTTP status code. If a later error of its pipeline undoes a statement outside a transaction
    block, the statement ends with that error.

    The controller sets `rows_wanted`, how many result rows to keep, and `armed`, the rules that
    may act after the event.
    """

    component: str
    kind: RequestKind
    statement: Statement
    key: str
    nth: int
    text: bytes = b""
    bind: bytes | None = None
    arrived_ns: int = 0
    status: Status | None = None
    detail: str = ""
    rows_wanted: int = 0
    armed: "tuple[Rule, ...]" = ()
    _rows: list[bytes] = field(default_factory=list)

    @property
    def completion(self) -> str:
        """The command tags, SQLSTATE or HTTP status; SKIPPED or CUT; empty before the end."""
        if self.status in (Status.SKIPPED, Status.CUT):
            return self.status.name
        return self.detail

    def parameters(self) -> tuple[binding.Value, ...]:
        """Return the bind parameters: text format as str, binary as bytes, NULL as None."""
        return binding.parameters(self.bind) if self.bind is not None else ()

    def rows(self) -> tuple[tuple[binding.Value, ...], ...]:
        """Return the first result rows, at most `rows_wanted`; rows over 64 kB are left out."""
        formats = binding.result_formats(self.bind) if self.bind is not None else ()
        decoded = (binding.row(body, formats) for body in self._rows)
        return tuple(row for row in decoded if row is not None)

    def mentions(self, names: Iterable[str]) -> bool:
        """Say whether the text, a parameter or a kept row contains one of the names.

        A name that is a UUID is found in its binary form too.
        """
        values = [*self.parameters(), *(value for row in self.rows() for value in row)]
        texts = [value.encode() if isinstance(value, str) else value or b"" for value in values]
        forms = [form for name in names for form in _forms(name)]
        return any(form in text for text in (self.text, *texts) for form in forms)

    def keep_row(self, body: bytes) -> None:
        """Keep the body of a DataRow message if rows are still wanted."""
        if len(self._rows) < self.rows_wanted:
            self._rows.append(body)

    def add_tag(self, tag: str) -> None:
        """Note the command tag of one statement of the request."""
        self.detail = f"{self.detail};{tag}" if self.detail else tag


def _forms(name: str) -> Iterator[bytes]:
    yield name.encode()
    try:
        yield uuid.UUID(name).bytes
    except ValueError:
        return
