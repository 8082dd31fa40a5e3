"""The reference system as real processes on this machine."""

from chaosfuzz.targets.process.target import ReferenceTarget

__all__ = ["ReferenceTarget"]
