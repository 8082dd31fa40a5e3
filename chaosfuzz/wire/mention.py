"""Whether a request is about something, by what it says and what it was answered."""

import uuid
from collections.abc import Iterable, Iterator

from chaosfuzz.wire.binding import Value
from chaosfuzz.wire.event import Event


def mentions(event: Event, names: Iterable[str]) -> bool:
    """Say whether a parameter, a result row kept, or the text itself has one of the names.

    A name that is a UUID is also known in binary.
    """
    forms = [form for name in names for form in _forms(name)]
    return any(form in said for said in _said(event) for form in forms)


def _forms(name: str) -> Iterator[bytes]:
    yield name.encode()
    try:
        yield uuid.UUID(name).bytes
    except ValueError:
        return


def _said(event: Event) -> Iterator[bytes]:
    yield event.text
    values: list[Value] = [*event.parameters()]
    for row in event.rows():
        values += row
    for value in values:
        if value is not None:
            yield value.encode() if isinstance(value, str) else value
