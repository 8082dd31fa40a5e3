"""Invariants: finding them, running them safely, merging their verdicts."""

from chaosfuzz.checking.judge import InvariantJudge
from chaosfuzz.checking.loading import default_directories, load_invariants

__all__ = ["InvariantJudge", "default_directories", "load_invariants"]
