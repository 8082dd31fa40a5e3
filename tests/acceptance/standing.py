"""What tests of a system that is left running share."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

DEADLINE_S = 30.0
SETTINGS = ("BASE_URL", "PORT", "VERBOSE", "OUTPUT_DIR")


@pytest.fixture(scope="module", autouse=True)
def no_settings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in SETTINGS:
            patch.delenv(name, raising=False)
        yield


def description(directory: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((directory / "up.json").read_text())
    return loaded


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.05)
