"""Components of a target by role and slot."""

import re
from dataclasses import dataclass
from enum import StrEnum

_NAME = re.compile(r"(worker|server|client)-([1-9]\d?)")


class ComponentRole(StrEnum):
    """The part of a component in a job system; the client is the harness itself."""

    WORKER = "worker"
    SERVER = "server"
    CLIENT = "client"
    DATABASE = "database"


@dataclass(frozen=True, kw_only=True)
class Component:
    """One component; slots count from 1 within a role, and a target has one database."""

    role: ComponentRole
    slot: int = 1

    @classmethod
    def parse(cls, name: str) -> "Component | None":
        """Return the component of a name such as `worker-2` or `database`; None for other names."""
        if name == ComponentRole.DATABASE.value:
            return cls(role=ComponentRole.DATABASE)
        found = _NAME.fullmatch(name)
        return None if found is None else cls(role=ComponentRole(found[1]), slot=int(found[2]))

    def __str__(self) -> str:
        """Return the name that targets, histories and case files use."""
        return self.role if self.role is ComponentRole.DATABASE else f"{self.role}-{self.slot}"


def worker(slot: int) -> Component:
    """Return the worker in a slot."""
    return Component(role=ComponentRole.WORKER, slot=slot)


SERVER = Component(role=ComponentRole.SERVER)
CLIENT = Component(role=ComponentRole.CLIENT)
DATABASE = Component(role=ComponentRole.DATABASE)
