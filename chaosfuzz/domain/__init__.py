"""Vocabulary of chaosfuzz: values and protocols. Standard library only, no I/O."""

from chaosfuzz.domain.action import TASK_TYPES
from chaosfuzz.domain.breaker import BreakerState
from chaosfuzz.domain.contract import Guarantee, WorkerExit
from chaosfuzz.domain.counted import in_attempt
from chaosfuzz.domain.excuses import Answer, Excuse, NoExcuse
from chaosfuzz.domain.history import FaultKind, Health, Inquiry, InquiryKind, OperationKind
from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.task import Execution, TaskStatus
from chaosfuzz.domain.verdict import Finding, Kind, invariant
from chaosfuzz.domain.view import TaskView, View

__all__ = [
    "CLIENT",
    "TASK_TYPES",
    "Answer",
    "BreakerState",
    "Excuse",
    "Execution",
    "FaultKind",
    "Finding",
    "Guarantee",
    "Health",
    "Inquiry",
    "InquiryKind",
    "Kind",
    "NoExcuse",
    "OperationKind",
    "Outcome",
    "TaskStatus",
    "TaskView",
    "View",
    "WorkerExit",
    "in_attempt",
    "invariant",
]
