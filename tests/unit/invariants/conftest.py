import pytest

from chaosfuzz.testing import HistoryBuilder


@pytest.fixture
def past() -> HistoryBuilder:
    return HistoryBuilder()
