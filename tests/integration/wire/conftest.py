"""A cluster for all, and a proxy for each test."""

import os
from collections.abc import Iterator
from contextlib import closing

import pytest
from integration.wire.harness import Wire

from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.postgres import Cluster, create_runtime_directory, locate_postgres
from chaosfuzz.wire import LaneWire


@pytest.fixture(scope="session")
def keeper():
    with Keeper() as made:
        yield made


@pytest.fixture(scope="session")
def cluster(keeper: Keeper):
    made = Cluster(keeper, locate_postgres(), create_runtime_directory("wire"))
    made.start(60)
    yield made
    made.dispose()


@pytest.fixture
def wire(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Wire]:
    cluster.start(30)
    database = f"wire_{abs(hash(request.node.nodeid)) % 10**9}_{os.getpid()}"
    cluster.administrator.create_database(database)
    with closing(LaneWire()) as proxy:
        made = Wire(proxy, cluster=cluster, database=database)
        made.directly("create table tasks (id serial primary key, status text, payload text)")
        yield made
        proxy.check()
    cluster.administrator.drop_database(database)
