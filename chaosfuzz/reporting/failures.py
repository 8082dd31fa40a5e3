"""A failure as text, for reports."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ReportedFailure:
    """One failure, with all that a reader needs to understand it and to run it again.

    `documented` is the source where the target admits the failure, which then breaks no promise.
    """

    sentence: str
    schedule_lines: tuple[str, ...]
    rate_text: str
    case_path: str
    replay_command: str
    story: tuple[str, ...]
    case_text: str
    documented: str = ""
