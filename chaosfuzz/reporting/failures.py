"""A failure as reports show it: text alone, put together by whoever knows the case."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ReportedFailure:
    """One failure with all a reader needs to understand it and to run it again.

    `documented` is where the target admits it; then it is a limit, and no promise is broken.
    """

    sentence: str
    schedule_lines: tuple[str, ...]
    rate_text: str
    case_path: str
    replay_command: str
    story: tuple[str, ...]
    case_text: str
    documented: str = ""
