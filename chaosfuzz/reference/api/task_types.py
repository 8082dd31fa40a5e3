"""The types that tasks can have."""

from starlette.responses import Response

from chaosfuzz.reference import queue
from chaosfuzz.reference.api.envelope import success
from chaosfuzz.reference.api.operation import Access, AnyOperation, Call, Operation
from chaosfuzz.reference.api.shapes import NoInput
from chaosfuzz.reference.api.task_shapes import TaskType, TypeBody
from chaosfuzz.reference.database import Database


class TypeOperations:
    """Everybody may read what types there are; moderators may add some."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def operations(self) -> list[AnyOperation]:
        """Every operation."""
        return [
            Operation(
                method="GET",
                path="/tasks/types",
                name="list_task_types",
                summary="Every registered task type.",
                handler=self.every,
                access=Access.PUBLIC,
                body=NoInput,
                query=NoInput,
                data=list[TaskType],
                tag="task types",
            ),
            Operation(
                method="POST",
                path="/tasks/types",
                name="register_task_type",
                summary="Register a task type, or change its description.",
                handler=self.register,
                access=Access.MODERATOR,
                body=TypeBody,
                query=NoInput,
                data=TaskType,
                tag="task types",
            ),
        ]

    async def every(self, _call: Call[NoInput, NoInput]) -> Response:
        """Every type."""
        return success(await self._database.run(queue.list_types))

    async def register(self, call: Call[TypeBody, NoInput]) -> Response:
        """Register a type or change its description."""
        name, description = call.body.task_type, call.body.description
        await self._database.run(lambda each: queue.register_type(each, name, description))
        return success({"task_type": name, "description": description}, "task type registered")
