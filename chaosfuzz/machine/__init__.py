"""Looks at this machine: what it offers for fuzzing, and what dead runs left on it."""
