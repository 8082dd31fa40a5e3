"""Wires the parts: plan, execute, check, shrink, save, replay."""
