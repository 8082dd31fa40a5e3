"""Turn the messages of a client into events."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from chaosfuzz.wire.binding import split_bind
from chaosfuzz.wire.event import Event, RequestKind
from chaosfuzz.wire.framing import RETAINED_BYTES, Framer, wanted_kinds
from chaosfuzz.wire.session import Session
from chaosfuzz.wire.statement import Classifier, Statement, closing_key, plain

Name = TypeVar("Name")

_WANTED = wanted_kinds("QPBESCcfFH")
_QUERY, _PARSE, _BIND, _EXECUTE, _SYNC, _CLOSE, _COPY_DONE, _COPY_FAIL, _FUNCTION, _FLUSH = (
    b"QPBESCcfFH"
)
_OF_STATEMENT, _OF_PORTAL = b"SP"
# Chosen by hand.
_MAXIMUM_NAMES = 5000
_FUNCTION_CALL = plain("FUNCTION")


class _Portal(NamedTuple):
    text: bytes
    statement: Statement
    bind: bytes


_NO_STATEMENT = (b"", plain("UNKNOWN"))
_UNKNOWN = _Portal(*_NO_STATEMENT, b"\0\0\0\0\0\0\0\0")


class RequestReader:
    """Read the requests of one connection and release bytes for the server.

    Parse and Bind are kept back until the controller has been asked about their Execute. So a
    request that is held before the server has not begun there: a Bind takes locks and a snapshot.
    """

    def __init__(
        self, session: Session, classifier: Classifier, new_event: Callable[..., Event]
    ) -> None:
        self._framer = Framer(_WANTED)
        self._session = session
        self._classifier = classifier
        self._new_event = new_event
        self._statements: dict[bytes, tuple[bytes, Statement]] = {}
        self._portals: dict[bytes, _Portal] = {}
        # Where the Parse and Bind messages begin that wait for their Execute; -1 without any.
        self._chain = -1

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self._framer.feed(data)

    def take(self) -> Event | None:
        """Return the next request, None if more bytes are needed.

        Raises:
            DesyncError: bytes that are no message.

        """
        while kind := self._framer.take():
            event = self._read(kind)
            if event is not None:
                return event
        return None

    def accept(self) -> None:
        """Include the request last taken, with its Parse and Bind, in the next release."""
        self._chain = -1

    def release_before(self) -> bytes:
        """Return the bytes before the request last taken, and before its Parse and Bind."""
        begin = self._framer.start if self._chain < 0 else self._chain
        return self._release(begin)

    def release(self) -> bytes:
        """Return all bytes that may go to the server.

        Parse and Bind that wait for their Execute go too once they exceed 64 kB.
        """
        looked_at = self._framer.looked_at
        if self._chain >= 0:
            if looked_at - self._chain <= RETAINED_BYTES:
                return self._release(self._chain)
            self._chain = -1
        return self._release(looked_at)

    def release_all(self) -> bytes:
        """Return all bytes: the client has ended its stream."""
        return self._framer.release_all()

    def _release(self, until: int) -> bytes:
        released = self._framer.release(until)
        if self._chain >= 0:
            self._chain -= len(released)
        return released

    def _read(self, kind: int) -> Event | None:
        if kind == _EXECUTE:
            name = self._framer.body().partition(b"\0")[0]
            portal = self._portals.get(name, _UNKNOWN)
            return self._event(RequestKind.EXECUTE, portal.statement, portal.text, portal.bind)
        if kind == _QUERY:
            text = self._framer.body().removesuffix(b"\0")
            statement = self._classifier.classify(text)
            return self._event(RequestKind.QUERY, statement, text)
        if kind == _FUNCTION:
            return self._event(RequestKind.FUNCTION, _FUNCTION_CALL)
        if kind == _SYNC:
            self._session.synced()
            self._chain = -1
        elif kind == _FLUSH:
            self._chain = -1
        elif kind in (_COPY_DONE, _COPY_FAIL):
            self._session.copy_ended()
        else:
            if self._chain < 0:
                self._chain = self._framer.start
            self._name(kind, self._framer.body())
        return None

    def _name(self, kind: int, body: bytes) -> None:
        if kind == _BIND:
            portal, name = split_bind(body)
            text, statement = self._statements.get(name, _NO_STATEMENT)
            _remember(self._portals, portal, _Portal(text, statement, body))
        elif kind == _PARSE:
            name, _, rest = body.partition(b"\0")
            text = rest.partition(b"\0")[0]
            _remember(self._statements, name, (text, self._classifier.classify(text)))
        elif kind == _CLOSE and body[0] == _OF_STATEMENT:
            self._statements.pop(body[1:-1], None)
        elif kind == _CLOSE and body[0] == _OF_PORTAL:
            self._portals.pop(body[1:-1], None)

    def _event(
        self, kind: RequestKind, statement: Statement, text: bytes = b"", bind: bytes | None = None
    ) -> Event:
        last_write = self._session.last_write_before(statement)
        key = closing_key(statement, last_write) if last_write is not None else ""
        return self._new_event(kind, statement, key=key, text=text, bind=bind)


def _remember(names: dict[bytes, Name], name: bytes, meaning: Name) -> None:
    if len(names) >= _MAXIMUM_NAMES and name not in names:
        # Some clients never close their statements. The oldest name's next event has no SQL text.
        del names[next(iter(names))]
    names[name] = meaning
