"""Measures chaosfuzz itself: schedules a minute, and how often faults at moments find defects."""
