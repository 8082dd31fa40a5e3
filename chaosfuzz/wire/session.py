"""Match replies to requests by the order of one connection."""

import re
from collections import deque
from enum import Enum

from chaosfuzz.wire.event import Event, RequestKind, Status
from chaosfuzz.wire.framing import DesyncError, wanted_kinds
from chaosfuzz.wire.statement import Statement, TransactionEffect

WANTED_REPLIES = wanted_kinds("CIsEZGW")
WANTED_REPLIES_WITH_ROWS = wanted_kinds("CIsEZGWD")
_COMPLETE, _EMPTY, _SUSPENDED, _ERROR, _READY, _COPY_IN, _COPY_BOTH, _ROW = b"CIsEZGWD"
_IDLE = ord("I")
_SQLSTATE = re.compile(rb"(?:^|\0)C([0-9A-Z]{5})\0")


class _Marker(Enum):
    SYNC = "sync"
    COPY_END = "copy end"


class Session:
    """The requests under way on one connection, in the order the server answers them.

    After an error in the extended protocol the server skips everything until the next Sync;
    while it takes COPY data it ignores every Sync. Both follow
    https://www.postgresql.org/docs/current/protocol-flow.html
    """

    def __init__(self) -> None:
        self._queue: deque[Event | _Marker] = deque()
        self._uncommitted: list[Event] = []
        self._in_block = False
        self._is_copying = False
        self._is_skipping = False
        self._undone_by = ""
        # How many requests under way are armed. Read for every message, so it is counted.
        self.armed = 0
        self._with_rows = 0
        self._last_write: Statement | None = None

    @property
    def is_armed(self) -> bool:
        """Whether the replies that arrive now must be withheld."""
        head = self._head()
        if isinstance(head, Event) and head.armed:
            return True
        return any(event.armed for event in self._uncommitted)

    @property
    def wants_rows(self) -> bool:
        """Whether any request under way wants its result rows."""
        return self._with_rows > 0

    def last_write_before(self, statement: Statement) -> Statement | None:
        """Return the last write of the transaction block that the statement ends.

        None if the statement ends no block, or a block that wrote nothing. Must be called for
        every statement, in the order of requests.
        """
        if statement.effect is TransactionEffect.NONE:
            if statement.writes:
                self._last_write = statement
            return None
        found, self._last_write = self._last_write, None
        return found if statement.effect is TransactionEffect.ENDS else None

    def requested(self, event: Event) -> list[Event]:
        """Note that a request goes to the server. Return it if the server will skip it."""
        if self._is_skipping:
            event.status, event.armed = Status.SKIPPED, ()
            return [event]
        self._queue.append(event)
        self.armed += bool(event.armed)
        self._with_rows += event.rows_wanted > 0
        return []

    def synced(self) -> None:
        """Note that a Sync goes to the server."""
        if not self._is_copying:
            self._queue.append(_Marker.SYNC)
            self._is_skipping = False

    def copy_ended(self) -> None:
        """Note that CopyDone or CopyFail goes to the server."""
        if self._is_copying:
            self._is_copying = False
        else:
            # The server's CopyInResponse may still be on its way.
            self._queue.append(_Marker.COPY_END)

    def replied(self, kind: int, body: bytes) -> list[Event]:
        """Take a reply of a type in WANTED_REPLIES_WITH_ROWS; return the events that it ends.

        Raises:
            DesyncError: no request was under way that this could answer.

        """
        if kind == _COMPLETE:
            return self._completed(body[:-1].decode("utf-8", "replace"))
        if kind == _READY:
            return self._ready(body)
        if kind == _ROW:
            head = self._head()
            if isinstance(head, Event):
                head.keep_row(body)
            return []
        if kind in (_EMPTY, _SUSPENDED):
            return self._completed("")
        if kind == _ERROR:
            return self._failed(_sqlstate(body))
        self._copy_started()
        return []

    def cancelled(self) -> list[Event]:
        """Note that the server has closed; return the cancel request that ends so."""
        head = self._head()
        if isinstance(head, Event) and head.kind is RequestKind.CANCEL:
            self._queue.popleft()
            return [self._end(head, Status.OK)]
        return []

    def abandon(self) -> list[Event]:
        """Note that the connection is lost; return all events that end so."""
        left = [*self._uncommitted, *(entry for entry in self._queue if isinstance(entry, Event))]
        self._uncommitted.clear()
        self._queue.clear()
        # A server that shuts down sends an SQLSTATE for the request before it closes.
        for event in left:
            failed = event.status is Status.ERROR
            self._end(event, Status.ERROR if failed else Status.CUT)
        return left

    def _head(self) -> Event | _Marker | None:
        queue = self._queue
        while queue and queue[0] is _Marker.COPY_END:
            queue.popleft()
        return queue[0] if queue else None

    def _end(self, event: Event, status: Status) -> Event:
        event.status = status
        self.armed -= bool(event.armed)
        self._with_rows -= event.rows_wanted > 0
        return event

    def _completed(self, tag: str) -> list[Event]:
        head = self._head()
        if not isinstance(head, Event):
            message = f"completion {tag!r} of no request"
            raise DesyncError(message)
        if tag:
            head.add_tag(tag)
        if head.kind is not RequestKind.EXECUTE:
            return []
        self._queue.popleft()
        self._is_copying = False
        effect = head.statement.effect
        was_in_block = self._in_block
        if effect is TransactionEffect.BEGINS:
            self._in_block = True
        elif effect is TransactionEffect.ENDS:
            self._in_block = False
        elif not was_in_block:
            # It commits at Sync, and a deferred constraint or a later error can still undo it.
            self._uncommitted.append(head)
            return []
        return [self._end(head, Status.OK)]

    def _failed(self, sqlstate: str) -> list[Event]:
        head = self._head()
        self._is_copying = False
        if head is None:
            # An error to an idle connection, or before an Execute was sent.
            self._is_skipping = True
            self._undone_by = sqlstate
            return []
        self._undone_by = sqlstate
        if not isinstance(head, Event):
            return []
        if head.kind is not RequestKind.EXECUTE:
            head.status, head.detail = Status.ERROR, sqlstate
            return []
        self._queue.popleft()
        head.detail = sqlstate
        ended = [self._end(head, Status.ERROR)]
        while self._queue and self._queue[0] is not _Marker.SYNC:
            skipped = self._queue.popleft()
            if isinstance(skipped, Event):
                self._end(skipped, Status.SKIPPED)
                skipped.armed = ()
                ended.append(skipped)
        self._is_skipping = not self._queue
        return ended

    def _ready(self, body: bytes) -> list[Event]:
        head = self._head()
        if head is None or (isinstance(head, Event) and head.kind is RequestKind.EXECUTE):
            message = f"ReadyForQuery while the next request is {head and head.key}"
            raise DesyncError(message)
        self._queue.popleft()
        self._in_block = body[0] != _IDLE
        ended = []
        for event in self._uncommitted:
            if self._undone_by:
                event.detail = self._undone_by
            ended.append(self._end(event, Status.ERROR if self._undone_by else Status.OK))
        self._uncommitted.clear()
        self._undone_by = ""
        if isinstance(head, Event):
            self._is_copying = False
            failed = head.status is Status.ERROR
            ended.append(self._end(head, Status.ERROR if failed else Status.OK))
        return ended

    def _copy_started(self) -> None:
        """Drop the Syncs that the server ignores: they came before the end of the COPY data."""
        queue = self._queue
        self._head()
        kept = deque([queue.popleft()]) if queue else deque()
        self._is_copying = True
        while queue:
            entry = queue.popleft()
            if entry is _Marker.COPY_END:
                self._is_copying = False
                break
            if entry is not _Marker.SYNC:
                kept.append(entry)
        self._queue = kept + queue


def _sqlstate(body: bytes) -> str:
    found = _SQLSTATE.search(body)
    return found[1].decode() if found else "?????"
