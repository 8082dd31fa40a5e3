"""A small, correct at-least-once job queue with defects that can be switched on by name."""
