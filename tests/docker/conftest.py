"""What tests with a Docker engine share. They are skipped only where none can be had."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from chaosfuzz.domain.errors import ChaosfuzzError
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.image import find_or_build


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/docker/" in item.path.as_posix():
            item.add_marker(pytest.mark.docker)
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    try:
        found = Engine()
    except ChaosfuzzError as error:
        pytest.skip(f"{error}; .ci/docker-engine starts one")
    with closing(found):
        # The first image takes a minute, which no test of a lane's life is to wait for.
        find_or_build(found)
        yield found
