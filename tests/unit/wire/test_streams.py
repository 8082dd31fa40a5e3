"""Streams of messages cut anywhere are forwarded unchanged and understood the same."""

import asyncio
import socket
import struct
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pygwire.constants import ConnectionPhase, MessageDirection
from pygwire.framing import lookup_framing
from pygwire.messages import Execute, FunctionCall, Query
from unit.wire import conversation as talk

from chaosfuzz.domain.wire import Intervention
from chaosfuzz.wire.component import Component
from chaosfuzz.wire.endpoint import Endpoint
from chaosfuzz.wire.event import Event
from chaosfuzz.wire.framing import DesyncError
from chaosfuzz.wire.postgres_connection import PostgresConnection
from chaosfuzz.wire.rules import Rule, RuleController
from chaosfuzz.wire.statement import Classifier

data = st.binary(max_size=12)
exchanges = st.one_of(
    st.builds(
        talk.simple_query, st.sampled_from([("SELECT 1",), ("INSERT 0 1", "SELECT 2")]), data
    ),
    st.builds(talk.failed_query, st.sampled_from(["42601", "XX000"])),
    st.builds(talk.extended_query, data, st.sampled_from(["", "s1"])),
    st.builds(talk.transaction),
    st.builds(talk.failed_pipeline, st.integers(0, 2)),
    st.builds(talk.prepared_with_flush),
    st.builds(talk.copy_in, data, fails=st.booleans()),
    st.builds(talk.copy_out, data),
    st.builds(talk.function_call),
    st.builds(talk.spoken_to_while_idle),
)


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_paused = False
        self.socket = Mock(spec=socket.socket)

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.socket

    def abort(self) -> None:
        self.written += b" aborted"


def sql(event: Event) -> str:
    return event.text.decode("utf-8", "replace")


class Recorder(RuleController):
    def __init__(self) -> None:
        super().__init__()
        self.rows_wanted = 1
        self.asked: list[Event] = []
        self.ends: list[tuple[str, str]] = []

    def arrived(self, event: Event) -> Rule | None:
        self.asked.append(event)
        return super().arrived(event)

    def ended(self, event: Event) -> Rule | None:
        self.ends.append((sql(event), event.completion))
        return super().ended(event)


async def converse(pieces: list[tuple[bool, bytes]]) -> tuple[bytes, bytes, Recorder]:
    """Pass pieces through a connection; return what came out at server and client."""
    problems: list[BaseException] = []
    component = Component(
        "w", "/nowhere", Classifier(), lambda _, error: problems.append(error), PostgresConnection
    )
    component.controller = recorder = Recorder()
    client_transport, server_transport = FakeTransport(), FakeTransport()
    made: list[Endpoint] = []
    dialled = asyncio.Event()

    async def dial(side: Endpoint) -> None:
        made.append(side)
        side.connection_made(server_transport)
        dialled.set()

    component.dial = dial
    client = component._accept()
    client.connection_made(client_transport)
    for is_client, piece in pieces:
        if is_client:
            client.data_received(piece)
            if client_transport.is_paused:
                await dialled.wait()
        else:
            made[0].data_received(piece)
    if problems:
        raise problems[0]
    return server_transport.written, client_transport.written, recorder


def joined(steps: list[tuple[bool, bytes]], *, is_client: bool) -> bytes:
    return b"".join(piece for whose, piece in steps if whose is is_client)


def cut(steps: list[tuple[bool, bytes]], at: int) -> list[tuple[bool, bytes]]:
    pieces = []
    for whose, piece in steps:
        if 0 < at < len(piece):
            pieces += [(whose, piece[:at]), (whose, piece[at:])]
        else:
            pieces.append((whose, piece))
        at -= len(piece)
    return pieces


def conversation(drawn: list[talk.Exchange], *, pipelined: bool):
    opening = [(True, talk.STARTUP), (False, talk.GREETING)]
    steps = [step for exchange in drawn for step in exchange.steps]
    if pipelined:
        steps = [*(s for s in steps if s[0]), *(s for s in steps if not s[0])]
    return opening + steps


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(exchanges, max_size=4), st.booleans())
def test_a_stream_cut_at_every_byte_is_forwarded_and_understood(
    drawn: list[talk.Exchange], pipelined: bool
):
    steps = conversation(drawn, pipelined=pipelined)
    expected = (("", ""), *(end for exchange in drawn for end in exchange.ends))

    def check(pieces: list[tuple[bool, bytes]]) -> None:
        to_server, to_client, recorder = asyncio.run(converse(pieces))
        assert to_server == joined(steps, is_client=True)
        assert to_client == joined(steps, is_client=False)
        assert tuple(recorder.ends) == expected

    check(steps)
    check([(whose, bytes([byte])) for whose, piece in steps for byte in piece])
    total = sum(len(piece) for _whose, piece in steps)
    for at in range(1, total, 1 + total // 25):
        check(cut(steps, at))


@pytest.mark.long
def test_every_single_cut_of_one_long_conversation():
    drawn = [
        talk.transaction(),
        talk.copy_in(b"data", fails=False),
        talk.failed_pipeline(1),
        talk.extended_query(b"value", "s1"),
    ]
    expected = [("", ""), *(end for exchange in drawn for end in exchange.ends)]
    for pipelined in (False, True):
        steps = conversation(drawn, pipelined=pipelined)
        for at in range(1, sum(len(piece) for _whose, piece in steps)):
            to_server, to_client, recorder = asyncio.run(converse(cut(steps, at)))
            assert to_server == joined(steps, is_client=True)
            assert to_client == joined(steps, is_client=False)
            assert recorder.ends == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(exchanges, max_size=6))
def test_requests_are_those_that_another_parser_sees(drawn: list[talk.Exchange]):
    steps = conversation(drawn, pipelined=False)
    _server, _client, recorder = asyncio.run(converse(steps))
    stream = memoryview(b"".join(piece for whose, piece in steps[2:] if whose))
    seen: list[str] = []
    position = 0
    while position < len(stream):
        in_copy = stream[position] in b"dcf"
        phase = ConnectionPhase.COPY_IN if in_copy else ConnectionPhase.READY
        parsed, used = lookup_framing(phase, MessageDirection.FRONTEND).try_parse(
            buf=stream, pos=position, phase=phase, direction=MessageDirection.FRONTEND
        )
        position += used
        if isinstance(parsed, Query):
            seen.append(f"query {parsed.query_string}")
        elif isinstance(parsed, Execute):
            seen.append("execute")
        elif isinstance(parsed, FunctionCall):
            seen.append("function")
    asked = [
        f"query {sql(event)}" if event.kind.value == "query" else event.kind.value
        for event in recorder.asked[1:]
    ]
    assert asked == seen


def test_a_long_message_streams_through_and_only_its_beginning_is_kept():
    long = b"x" * 1_000_000
    query = talk.message(b"Q", b"insert into tasks values ('" + long + b"')\0")
    steps = [(True, talk.STARTUP), (False, talk.GREETING), (True, query[:100_000])]

    async def run() -> None:
        to_server, _client, recorder = await converse(steps)
        assert to_server == talk.STARTUP + query[:100_000]
        assert recorder.asked[-1].statement.head == "INSERT tasks"
        assert len(recorder.asked[-1].text) < 200_000
        everything = [*steps, (True, query[100_000:]), (False, talk.complete("INSERT 0 1"))]
        to_server, _client, recorder = await converse([*everything, (False, talk.ready())])
        assert to_server == talk.STARTUP + query
        assert recorder.ends[-1][1] == "INSERT 0 1"

    asyncio.run(run())


def test_a_request_held_before_has_not_even_been_parsed_by_the_server():
    held = talk.extended("select held")

    async def run() -> bytes:
        component = Component(
            "w",
            "/nowhere",
            Classifier(),
            lambda _, error: pytest.fail(str(error)),
            PostgresConnection,
        )
        hold = Rule(
            matches=lambda event: sql(event) == "select held",
            intervention=Intervention.HOLD,
            hold_ms=60_000,
        )
        component.controller.add(hold)
        client_transport, server_transport = FakeTransport(), FakeTransport()
        dialled = asyncio.Event()

        async def dial(side: Endpoint) -> None:
            side.connection_made(server_transport)
            dialled.set()

        component.dial = dial
        client = component._accept()
        client.connection_made(client_transport)
        client.data_received(talk.STARTUP)
        await dialled.wait()
        first = talk.extended("select one")
        client.data_received(first + held + talk.message(b"S"))
        assert server_transport.written == talk.STARTUP + first
        assert client_transport.is_paused
        hold.release()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not client_transport.is_paused
        return server_transport.written[len(talk.STARTUP + first) :]

    assert asyncio.run(run()) == held + talk.message(b"S")


@pytest.mark.parametrize("length", [0, 3, 1 << 31])
def test_a_length_that_no_message_has_is_a_failure_of_the_proxy(length: int):
    bad = b"Z" + struct.pack("!I", length) + b"rest"
    steps = [(True, talk.STARTUP), (False, talk.GREETING), (False, bad)]
    with pytest.raises(DesyncError, match="length"):
        asyncio.run(converse(steps))
