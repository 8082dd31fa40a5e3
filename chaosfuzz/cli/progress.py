"""Progress: one live line on a terminal, a plain line every 10 s elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from chaosfuzz.domain.counted import counted
from chaosfuzz.shrinking import ShrinkProgress

PLAIN_EVERY_S = 10.0
REFRESH_PER_S = 4


def make_console(*, to_stderr: bool) -> Console:
    """Return the console; colours are off when it is not a terminal or NO_COLOR is set."""
    return Console(stderr=to_stderr, highlight=False, soft_wrap=True, emoji=False, markup=False)


class Progress:
    """A line that changes in place on a terminal; elsewhere it is printed every 10 s."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._printed_at = time.monotonic()

    def __enter__(self) -> "Progress":
        """Show the line, on a terminal."""
        if self._console.is_terminal:
            self._live = Live(
                Text(""),
                console=self._console,
                refresh_per_second=REFRESH_PER_S,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the line, on a terminal."""
        if self._live is not None:
            self._live.stop()

    def update(self, line: str) -> None:
        """Show a new state of the work in place of the last one."""
        if self._live is not None:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"))
        elif time.monotonic() - self._printed_at >= PLAIN_EVERY_S:
            self._printed_at = time.monotonic()
            self._console.print(line)

    def say(self, line: str, style: str = "") -> None:
        """Print a line that stays, above the live one."""
        self._console.print(Text(line, style=style))


def shrinking_line(progress: ShrinkProgress) -> str:
    """Return how far shrinking, or measuring the failure rate afterwards, has got."""
    steps = counted(progress.steps, "step")
    what = f"measuring: {steps} left" if progress.measuring else f"shrinking: down to {steps}"
    return f"{what}, {counted(progress.executions, 'execution')} in {clock(progress.taken_s)}"


def clock(seconds: float) -> str:
    """Return a duration as 42s, 3m05s or 2h07m."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
