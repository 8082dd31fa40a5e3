"""What a component sent before it ended in order reaches the database, as a kernel sees to."""

from typing import TYPE_CHECKING

import psycopg

from chaosfuzz.wire import LaneWire

if TYPE_CHECKING:
    from integration.wire.harness import Wire

COMPONENT = "worker-1"
INSERT = b"insert into tasks (status) select 'sent' from pg_sleep(0.2)"


def test_a_statement_on_its_way_is_done_when_its_sender_is_gone(wire: "Wire"):
    lane = LaneWire()
    try:
        port = lane.route(COMPONENT, ("127.0.0.1", wire.cluster.port))
        lane.begin()
        lane.started(COMPONENT)
        connection = psycopg.connect(
            host="127.0.0.1", port=port, user="postgres", dbname=wire.database, sslmode="disable"
        )
        connection.pgconn.send_query(INSERT)
        connection.pgconn.flush()
        connection.pgconn.finish()
        lane.drain(COMPONENT)
        lane.cut(COMPONENT)
        assert wire.directly("select count(*) from tasks") == [(1,)]
    finally:
        lane.close()
