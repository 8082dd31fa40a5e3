"""Vocabulary of chaosfuzz: values and protocols. Standard library only, no I/O."""
