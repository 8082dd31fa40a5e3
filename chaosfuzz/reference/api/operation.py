"""Operations: what the API offers, from which its routes and its document are made."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from chaosfuzz.reference.api.shapes import Input, NoInput
from chaosfuzz.reference.roles import Role
from chaosfuzz.reference.sessions import Caller

B = TypeVar("B", bound=Input)
Q = TypeVar("Q", bound=Input)


class Access(IntEnum):
    """Who may use an operation: everybody, or users from a role upwards."""

    PUBLIC = 0
    USER = Role.USER
    MODERATOR = Role.MODERATOR
    ADMIN = Role.ADMIN


@dataclass(frozen=True, kw_only=True)
class Call(Generic[B, Q]):
    """One request, checked: who asks, about which id, with what."""

    request: Request
    body: B
    query: Q
    target: str = ""
    known_caller: Caller | None = None

    @property
    def caller(self) -> Caller:
        """Who asks; every operation that is not public has one."""
        assert self.known_caller is not None
        return self.known_caller


@dataclass(frozen=True, kw_only=True)
class Operation(Generic[B, Q]):
    """One method of one path. `data` is the shape of what the reply's data holds.

    `refusals` are the statuses beyond those that follow from access and input.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Callable[[Call[B, Q]], Awaitable[Response]]
    access: Access = Access.USER
    body: type[B]
    query: type[Q]
    headers: type[Input] = NoInput
    data: Any = None
    refusals: tuple[int, ...] = ()
    asks_database: bool = True
    tag: str = field(default="")

    @property
    def has_body(self) -> bool:
        """Say whether a body is read."""
        return self.body is not NoInput

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every status of a refusal there can be."""
        found = set(self.refusals)
        if self.has_body or self.query is not NoInput or "{id}" in self.path:
            found.add(400)
        if self.access > Access.PUBLIC:
            found.add(401)
        if self.access > Access.USER:
            found.add(403)
        if self.asks_database:
            found.add(503)
        return tuple(sorted(found))


AnyOperation = Operation[Any, Any]
