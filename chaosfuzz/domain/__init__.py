"""Vocabulary of chaosfuzz: values and protocols. Standard library only, no I/O."""

from chaosfuzz.domain.history import FaultKind, Health, OperationKind
from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.task import Execution, TaskStatus
from chaosfuzz.domain.verdict import Finding, Kind, invariant
from chaosfuzz.domain.view import TaskView, View

__all__ = [
    "CLIENT",
    "Execution",
    "FaultKind",
    "Finding",
    "Health",
    "Kind",
    "OperationKind",
    "Outcome",
    "TaskStatus",
    "TaskView",
    "View",
    "invariant",
]
