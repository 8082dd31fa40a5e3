"""The example of a queue from nothing, as docs/profiles.md tells of it."""

from pathlib import Path

import pytest
from acceptance.command import chaosfuzz

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
MOST_LINES = 60


def test_the_example_is_short():
    texts = [path.read_text() for path in (EXAMPLES / "pgqueuer").iterdir() if path.is_file()]
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    assert len(lines) < MOST_LINES


@pytest.mark.long
def test_the_example_can_be_fuzzed(tmp_path: Path):
    done = chaosfuzz(tmp_path, "profile", "check", str(EXAMPLES / "pgqueuer/profile.toml"))
    assert done.code == 0, done.out + done.err
    assert "broken" not in done.out
    assert "missing" not in done.out


@pytest.mark.long
def test_the_example_holds_undisturbed(tmp_path: Path):
    path = str(EXAMPLES / "pgqueuer/profile.toml")
    done = chaosfuzz(tmp_path, "fuzz", path, "--no-faults", "--examples", "10", "--seed", "1")
    assert done.code == 0, done.out + done.err
    assert "holds: no promise was broken; 10 schedules" in done.out
