"""Cases: their file format and where they are kept."""

from chaosfuzz.cases.codec import dump_case, load_case
from chaosfuzz.cases.store import CaseStore, resolve

__all__ = ["CaseStore", "dump_case", "load_case", "resolve"]
