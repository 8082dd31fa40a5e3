"""Resident producers that fall silent."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chaosfuzz.targets.keeper import Keeper, ProcessTree
from chaosfuzz.targets.profiles.producing import Producer

ANSWERS_ONCE = """
import pathlib, sys, time
has_answered = pathlib.Path(sys.argv[1])
for line in sys.stdin:
    if has_answered.exists():
        time.sleep(60)
    has_answered.touch()
    print('{"ok": true}', flush=True)
"""


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with Keeper() as keeper:
        yield keeper


def test_a_producer_that_starts_while_something_is_broken_has_no_longer_than_others(
    keeper: Keeper, tmp_path: Path
):
    def start(pipes: tuple[int, int]) -> ProcessTree:
        argv = [sys.executable, "-c", ANSWERS_ONCE, str(tmp_path / "has-answered")]
        child = keeper.execute(argv, log_path=tmp_path / "log", pipes=pipes)
        return ProcessTree(child, keeper.pid, "CHAOSFUZZ_NOBODY=0")

    producer = Producer(
        start=start, ready=lambda _process: None, timeout_s=0.3, first_s=60.0, is_calm=lambda: False
    )
    with closing(producer):
        assert producer.ask(b"{}\n") == b'{"ok": true}'
        silent = "the producer: no answer within 0.3 s"
        assert [producer.ask(b"{}\n") for _ in range(2)] == [silent, silent]
