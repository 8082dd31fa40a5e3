"""Operations: each method of a path, from which the routes and the OpenAPI document are made."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, get_args, get_type_hints

from starlette.requests import Request
from starlette.responses import Response

from chaosfuzz.reference.api.shapes import Input, NoInput
from chaosfuzz.reference.database import Connection, Database
from chaosfuzz.reference.passwords import Passwords
from chaosfuzz.reference.roles import Role
from chaosfuzz.reference.sessions import Caller
from chaosfuzz.reference.settings import Settings

B = TypeVar("B", bound=Input)
Q = TypeVar("Q", bound=Input)
P = ParamSpec("P")
Result = TypeVar("Result")


class Access(IntEnum):
    """Who may use an operation: everybody, or users from a role upwards."""

    PUBLIC = 0
    USER = Role.USER
    MODERATOR = Role.MODERATOR
    ADMIN = Role.ADMIN


@dataclass(frozen=True, kw_only=True)
class Services:
    """What the handlers of a server share. `started_s` is monotonic.

    `write_behind` holds the inserts that the defect respond-before-commit has put off.
    """

    settings: Settings
    database: Database
    passwords: Passwords
    started_s: float = field(default_factory=time.monotonic)
    write_behind: set[asyncio.Task[None]] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Call(Generic[B, Q]):
    """One request whose sender, body and query have been checked.

    `target` is the id in the path in lower case, empty if the path has none. `known_caller` is
    None for public operations.
    """

    request: Request
    services: Services
    body: B
    query: Q
    target: str = ""
    known_caller: Caller | None = None

    @property
    def caller(self) -> Caller:
        """The user who sent the request; not for public operations, which have none."""
        assert self.known_caller is not None
        return self.known_caller

    async def run(
        self,
        statement: Callable[Concatenate[Connection, P], Awaitable[Result]],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> Result:
        """Return what `statement` returns for a connection of the pool and these arguments."""
        return await self.services.database.run(statement, *arguments, **named)


NoInputCall = Call[NoInput, NoInput]
Handler = Callable[[Call[B, Q]], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Operation(Generic[B, Q]):
    """One method of one path.

    `data` is the shape of the reply's data. `refusals` are the statuses of refusals beyond those
    that follow from access and input.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Handler[B, Q]
    access: Access
    body: type[B]
    query: type[Q]
    headers: type[Input]
    data: Any
    refusals: tuple[int, ...]
    asks_database: bool
    tag: str

    @property
    def has_body(self) -> bool:
        """Whether the server reads a body."""
        return self.body is not NoInput

    @property
    def statuses(self) -> tuple[int, ...]:
        """The statuses of refusals that the document lists for the operation, ascending."""
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


class Group:
    """The operations under one tag of the document, in the order of their declaration."""

    def __init__(self, tag: str) -> None:
        self.operations: list[AnyOperation] = []
        self._tag = tag

    def operation(
        self,
        method: str,
        path: str,
        data: Any,  # noqa: ANN401
        *,
        access: Access = Access.USER,
        headers: type[Input] = NoInput,
        refusals: tuple[int, ...] = (),
        asks_database: bool = True,
    ) -> Callable[[Handler[B, Q]], Handler[B, Q]]:
        """Return a decorator that adds a handler to the group and returns the handler unchanged.

        The handler's name and the first line of its docstring become the operation's name and
        summary; its parameter `call`, a `Call[body, query]`, names the shapes of the input.
        """

        def add(handler: Handler[B, Q]) -> Handler[B, Q]:
            body, query = get_args(get_type_hints(handler)["call"])
            self.operations.append(
                Operation(
                    method=method,
                    path=path,
                    name=handler.__name__,
                    summary=(handler.__doc__ or "").partition("\n")[0],
                    handler=handler,
                    access=access,
                    body=body,
                    query=query,
                    headers=headers,
                    data=data,
                    refusals=refusals,
                    asks_database=asks_database,
                    tag=self._tag,
                )
            )
            return handler

        return add
