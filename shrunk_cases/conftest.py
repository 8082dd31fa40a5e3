"""Cases of other people's queues take long, and need what those queues need: not by default."""

from pathlib import Path

import pytest

QUICK = {"reference"}
HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put cases of targets that are not ours among the long ones."""
    for item in items:
        if HERE in item.path.parents and item.path.parent.name not in QUICK:
            item.add_marker(pytest.mark.long)
