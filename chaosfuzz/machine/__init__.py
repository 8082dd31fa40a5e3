"""Checks this machine for fuzzing, and removes what dead runs left on it."""
