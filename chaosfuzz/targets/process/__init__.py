"""The reference system as processes of this machine."""

from chaosfuzz.targets.process.target import ReferenceTarget

__all__ = ["ReferenceTarget"]
