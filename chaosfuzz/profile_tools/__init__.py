"""Writes and checks profiles."""
