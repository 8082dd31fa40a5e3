"""One request of a component, from the moment it arrives to its completion."""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from chaosfuzz.wire import binding
from chaosfuzz.wire.statement import Statement

if TYPE_CHECKING:
    from chaosfuzz.wire.intervention import Intervention


class RequestKind(Enum):
    """How a request was made."""

    CONNECT = "connect"
    CANCEL = "cancel"
    QUERY = "query"
    EXECUTE = "execute"
    FUNCTION = "function"
    HTTP = "http"


class Status(Enum):
    """How a request ended. SKIPPED: an earlier error of its pipeline; CUT: connection lost."""

    OK = "ok"
    ERROR = "error"
    SKIPPED = "skipped"
    CUT = "cut"


@dataclass(slots=True, eq=False, kw_only=True)
class Event:
    """A request. `nth` counts the key in the component's incarnation from 1, `total` in its life.

    A request on a connection that an earlier incarnation left open has the `nth` 0.

    The connection number is for reading traces; it never identifies anything, pools reorder
    them. `status` is None until the request has ended; then `detail` is the command tag, the
    SQLSTATE, or an HTTP status code, of which those from 500 are an error. An autocommit
    statement undone by a later error of its pipeline ends with that error. A controller that
    wants result rows sets `rows_wanted` before it lets the event go.
    """

    component: str
    incarnation: int
    connection: int
    kind: RequestKind
    statement: Statement
    key: str
    nth: int
    total: int
    text: bytes = b""
    bind: bytes | None = None
    status: Status | None = None
    detail: str = ""
    rows_wanted: int = 0
    expired: bool = False
    after: "Intervention | None" = None
    _rows: list[bytes] = field(default_factory=list)

    @property
    def sql(self) -> str:
        """The SQL text, of a very long one its beginning; of an HTTP request its first line."""
        return self.text.decode("utf-8", "replace")

    @property
    def completion(self) -> str:
        """How it ended: command tag, SQLSTATE, HTTP status, SKIPPED or CUT; empty before."""
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

    def keep_row(self, body: bytes) -> None:
        """Keep a DataRow body if rows are still wanted."""
        if len(self._rows) < self.rows_wanted:
            self._rows.append(body)

    def add_tag(self, tag: str) -> None:
        """Note the command tag of one statement of the request."""
        self.detail = f"{self.detail};{tag}" if self.detail else tag
