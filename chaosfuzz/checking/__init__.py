"""Loads invariants, checks them, and merges their findings into one verdict."""

from chaosfuzz.checking.judge import InvariantJudge
from chaosfuzz.checking.loading import default_directories, load_invariants

__all__ = ["InvariantJudge", "default_directories", "load_invariants"]
