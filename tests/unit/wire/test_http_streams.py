"""HTTP streams cut anywhere are forwarded unchanged and understood the same."""

import asyncio

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.wire import dialogue as talk
from unit.wire.test_streams import FakeTransport, cut, joined

from chaosfuzz.domain.moment import Side
from chaosfuzz.domain.wire import Intervention
from chaosfuzz.wire.component import Component
from chaosfuzz.wire.endpoint import Endpoint
from chaosfuzz.wire.event import Event
from chaosfuzz.wire.http_connection import HttpConnection
from chaosfuzz.wire.rules import Rule, RuleController
from chaosfuzz.wire.statement import Classifier

Pieces = list[tuple[bool, bytes]]
bodies = st.binary(max_size=40)
exchanges = st.one_of(
    st.builds(talk.post, bodies),
    st.builds(talk.streamed, bodies, trailer=st.booleans()),
    st.builds(talk.head),
    st.builds(talk.unchanged, st.sampled_from([204, 304])),
    st.builds(talk.continued, bodies),
)
endings = st.one_of(
    st.none(), st.builds(talk.until_the_end, bodies), st.builds(talk.upgraded, bodies)
)


class Recorder(RuleController):
    def __init__(self) -> None:
        super().__init__()
        self.ends: list[tuple[str, str]] = []
        self.acted_at: list[str] = []

    def ended(self, event: Event) -> Rule | None:
        self.ends.append((event.key, event.completion))
        return super().ended(event)


def recorder_with(intervention: Intervention, key: str, side: Side, hold_ms: int = 0) -> Recorder:
    recorder = Recorder()
    rule = Rule(
        matches=lambda event: event.key == key,
        intervention=intervention,
        side=side,
        hold_ms=hold_ms,
        on_act=lambda event: recorder.acted_at.append(event.key),
    )
    recorder.add(rule)
    return recorder


class Talk:
    """A connection of the proxy between two sockets that are none."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.problems: list[BaseException] = []
        self.to_server, self.to_client = FakeTransport(), FakeTransport()
        self.component = Component(
            "client-1",
            ("127.0.0.1", 1),
            Classifier(),
            lambda _, error: self.problems.append(error),
            HttpConnection,
        )
        self.component.controller = recorder

    async def __aenter__(self) -> "Talk":
        dialled: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()

        async def dial(side: Endpoint) -> None:
            side.connection_made(self.to_server)
            dialled.set_result(side)

        self.component.dial = dial
        self.client = self.component._accept()
        self.client.connection_made(self.to_client)
        self.server = await dialled
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.problems:
            raise self.problems[0]

    def say(self, pieces: Pieces) -> None:
        for is_client, piece in pieces:
            (self.client if is_client else self.server).data_received(piece)


async def converse(pieces: Pieces, *, server_ends: bool) -> Talk:
    async with Talk(Recorder()) as talked:
        talked.to_server.close = lambda: None
        talked.say(pieces)
        if server_ends:
            talked.server.eof_received()
    return talked


def dialogue(drawn: list[talk.Exchange], *, pipelined: bool) -> Pieces:
    steps = [step for exchange in drawn for step in exchange.steps]
    # The body after an interim response and what follows an upgrade cannot be said in advance.
    if pipelined and all(len(exchange.steps) == 2 for exchange in drawn):
        return [*(s for s in steps if s[0]), *(s for s in steps if not s[0])]
    return steps


def check(pieces: Pieces, drawn: list[talk.Exchange]) -> None:
    server_ends = bool(drawn) and drawn[-1].end[0] == "GET /old"
    talked = asyncio.run(converse(pieces, server_ends=server_ends))
    assert talked.to_server.written == joined(pieces, is_client=True)
    assert talked.to_client.written == joined(pieces, is_client=False)
    assert talked.recorder.ends == [exchange.end for exchange in drawn]


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(exchanges, max_size=4), endings, st.booleans())
def test_a_stream_cut_at_every_byte_is_forwarded_and_understood(
    drawn: list[talk.Exchange], ending: talk.Exchange | None, pipelined: bool
):
    drawn = [*drawn, ending] if ending is not None else drawn
    pieces = dialogue(drawn, pipelined=pipelined)
    check(pieces, drawn)
    check([(whose, bytes([byte])) for whose, piece in pieces for byte in piece], drawn)
    total = sum(len(piece) for _whose, piece in pieces)
    for at in range(1, total, 1 + total // 25):
        check(cut(pieces, at), drawn)


@pytest.mark.long
@pytest.mark.parametrize("pipelined", [True, False])
def test_every_single_cut_of_one_long_dialogue(pipelined: bool):
    drawn = [talk.post(b"one"), talk.head(), talk.streamed(b"two", trailer=True), talk.unusual()]
    drawn += [] if pipelined else [talk.continued(b"body"), talk.unchanged(304)]
    pieces = dialogue(drawn, pipelined=pipelined)
    for at in range(1, sum(len(piece) for _whose, piece in pieces)):
        check(cut(pieces, at), drawn)


@settings(deadline=None, max_examples=60)
@given(st.lists(exchanges, min_size=1, max_size=6))
def test_requests_are_those_that_another_parser_sees(drawn: list[talk.Exchange]):
    pieces = dialogue(drawn, pipelined=False)
    check(pieces, drawn)
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(joined(pieces, is_client=True))
    seen = []
    for _request in drawn:
        event = parser.next_event()
        assert isinstance(event, h11.Request)
        seen.append(event.method.decode())
        while not isinstance(event, h11.EndOfMessage):
            event = parser.next_event()
        parser.send(h11.Response(status_code=204, headers=[]))
        parser.send(h11.EndOfMessage())
        parser.start_next_cycle()
    assert parser.next_event() is h11.NEED_DATA
    assert seen == [exchange.end[0].partition(" ")[0] for exchange in drawn]


@pytest.mark.parametrize(
    "said",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00 not for us",
        b"POST / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nxx",
        b"EHLO example\r\n",
        b"GET / HTTP/1.1\r\nno field\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"GET /" + b"x" * 200_000,
    ],
)
def test_what_is_not_understood_is_forwarded_all_the_same(said: bytes):
    answer = b"HTTP/1.1 400 Bad Request\r\n\r\nno"
    pieces = [(True, said[:9]), (True, said[9:]), (False, answer), (True, b"more"), (False, b"!")]
    talked = asyncio.run(converse(pieces, server_ends=True))
    assert talked.to_server.written == said + b"more"
    assert talked.to_client.written == answer + b"!"


@pytest.mark.parametrize(
    "answer",
    [b"\x00\x01 not HTTP", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"],
)
def test_an_answer_that_is_not_understood_is_delivered_though_a_moment_was_awaited(answer: bytes):
    async def run() -> Talk:
        recorder = recorder_with(Intervention.CUT, "POST /api/v1/tasks", Side.AFTER)
        async with Talk(recorder) as talked:
            talked.say([talk.post(b"").steps[0], (False, answer + b"\r\n\r\n")])
            talked.to_client.close = lambda: None
            talked.server.connection_lost(None)
        return talked

    talked = asyncio.run(run())
    assert talked.to_client.written == answer + b"\r\n\r\n"
    assert talked.recorder.ends == [("POST /api/v1/tasks", "CUT")]
    assert talked.recorder.acted_at == []


@pytest.mark.parametrize("exchange", [talk.post(b"body"), talk.upgraded(b"data")])
def test_nothing_of_a_reply_that_is_cut_is_delivered_whatever_comes_before_it(
    exchange: talk.Exchange,
):
    async def run() -> Talk:
        recorder = recorder_with(Intervention.CUT, exchange.end[0], Side.AFTER)
        async with Talk(recorder) as talked:
            talked.say([*talk.head().steps, *exchange.steps[:2]])
        return talked

    talked = asyncio.run(run())
    assert talked.to_client.written == talk.head().steps[1][1] + b" aborted"
    assert talked.to_server.written.startswith(talk.head().steps[0][1] + exchange.steps[0][1])


def test_an_interim_response_is_delivered_at_once_though_the_reply_is_held():
    exchange = talk.continued(b"body")

    async def run() -> bytes:
        recorder = recorder_with(Intervention.HOLD, "POST /b", Side.AFTER, 60_000)
        async with Talk(recorder) as talked:
            talked.say([*exchange.steps])
            before = talked.to_client.written
            assert before == exchange.steps[1][1]
            recorder._rules[0].release()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return talked.to_client.written[len(before) :]

    assert asyncio.run(run()) == exchange.steps[3][1]


def test_a_request_held_before_has_not_reached_the_server_and_later_ones_wait():
    held, other = talk.streamed(b"held", trailer=False), talk.post(b"")

    async def run() -> bytes:
        recorder = recorder_with(Intervention.HOLD, "PUT /files/{id}", Side.BEFORE, 60_000)
        async with Talk(recorder) as talked:
            first = talk.head().steps[0][1]
            talked.say([(True, first + held.steps[0][1] + other.steps[0][1])])
            assert talked.to_server.written == first
            assert talked.to_client.is_paused
            recorder._rules[0].release()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return talked.to_server.written[len(first) :]

    assert asyncio.run(run()) == held.steps[0][1] + other.steps[0][1]


def test_a_reply_that_goes_on_until_the_end_can_be_late():
    exchange = talk.until_the_end(b"old")

    async def run() -> None:
        recorder = recorder_with(Intervention.HOLD, exchange.end[0], Side.AFTER, 20)
        async with Talk(recorder) as talked:
            closed = asyncio.Event()
            talked.to_server.close = closed.set
            talked.say([*exchange.steps])
            talked.server.eof_received()
            assert talked.to_client.written == b""
            await asyncio.wait_for(closed.wait(), 10)
            assert talked.to_client.written == exchange.steps[1][1]

    asyncio.run(run())
