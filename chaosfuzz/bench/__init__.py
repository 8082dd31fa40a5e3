"""Benchmarks of chaosfuzz: schedules a minute, and how often faults at moments find defects."""
