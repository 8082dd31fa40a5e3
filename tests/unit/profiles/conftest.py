from collections.abc import Callable
from pathlib import Path

import pytest

from chaosfuzz.targets.profiles import Profile, load_profile

LEAST = """chaosfuzz_profile = 1
name = "mine"

[worker]
command = ["worker", "{dsn}"]
ready = {line = "up"}

[create]
sql = "insert into jobs (token) values (%(token)s) returning id"

[tasks]
query = "select id, token, status from jobs"

[tasks.states]
pending = ["new"]
completed = ["done"]

[contract]
guarantee = "at-least-once"
"""


class ProfileFiles:
    """Writes profiles that differ from the least one in a few places."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "profile.toml"
        self.text = LEAST

    def having(self, before: str, after: str) -> "ProfileFiles":
        assert before in self.text, before
        self.text = self.text.replace(before, after, 1)
        return self

    def adding(self, more: str) -> "ProfileFiles":
        self.text += more
        return self

    def line(self, text: str) -> int:
        return next(n for n, line in enumerate(self.text.splitlines(), 1) if text in line)

    def load(self) -> Profile:
        self.path.write_text(self.text, encoding="utf-8")
        return load_profile(self.path)


@pytest.fixture
def files(tmp_path: Path) -> Callable[[], ProfileFiles]:
    return lambda: ProfileFiles(tmp_path)
