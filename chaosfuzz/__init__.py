"""Property-based stateful chaos fuzzing of job systems."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaosfuzz.testing.machine import ChaosMachine

__version__ = "0.1.0"
__all__ = ["ChaosMachine", "__version__"]


def __getattr__(name: str) -> object:
    """Import ChaosMachine when it is asked for: programs that run as targets never need it."""
    if name == "ChaosMachine":
        from chaosfuzz.testing.machine import ChaosMachine

        return ChaosMachine
    message = f"module 'chaosfuzz' has no attribute {name!r}"
    raise AttributeError(message)
