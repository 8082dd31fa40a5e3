"""Property-based stateful chaos fuzzing of job systems."""

__version__ = "0.1.0"
