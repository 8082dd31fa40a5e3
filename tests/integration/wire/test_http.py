"""A real HTTP server behind the proxy: what clients see, and what each intervention does."""

import contextlib
import hashlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from integration.wire.harness import WAIT_S, Proxied, wait_until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from chaosfuzz.domain.moment import Side
from chaosfuzz.domain.wire import Intervention
from chaosfuzz.wire import LaneWire
from chaosfuzz.wire.rules import Rule

SIDES = pytest.mark.parametrize("side", Side)
CREATE = "POST /tasks"
MEGABYTES = b"0123456789abcdef" * 500_000


class Site(Proxied):
    """A server that counts what reaches it, and a proxy before it."""

    def __init__(self) -> None:
        super().__init__(LaneWire())
        self.created: list[bytes] = []
        routes = [
            Route("/tasks", self.create, methods=["POST"]),
            Route("/digest", self.digest, methods=["POST"]),
            Route("/stream/{size:int}", self.stream),
        ]
        config = uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off")
        self.server = uvicorn.Server(config)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.upstream = ("127.0.0.1", self.listener.getsockname()[1])
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))
        self.thread.start()
        self.port = self.proxy.route_http("client-1", self.upstream[1])

    async def create(self, request: Request) -> Response:
        self.created.append(await request.body())
        return PlainTextResponse(f"task {len(self.created)}")

    async def digest(self, request: Request) -> Response:
        found = hashlib.sha256()
        async for chunk in request.stream():
            found.update(chunk)
        return PlainTextResponse(found.hexdigest())

    async def stream(self, request: Request) -> Response:
        count = request.path_params["size"] // 1000
        return StreamingResponse(b"x" * 1000 for _ in range(count))

    def close(self) -> None:
        self.proxy.close()
        self.stop_server()
        self.listener.close()

    def stop_server(self) -> None:
        self.server.should_exit = True
        self.thread.join(WAIT_S)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)

    def post(self, path: str = "/tasks", body: object = b"new") -> tuple[int, bytes]:
        connection = self.connect()
        try:
            connection.request("POST", path, body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def at(self, intervention: Intervention, side: Side, key: str = CREATE, ms: int = 0) -> Rule:
        return self.rule(
            matches=lambda event: event.key == key,
            intervention=intervention,
            side=side,
            hold_ms=ms,
        )


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    try:
        yield made
        made.proxy.check()
    finally:
        made.close()


def test_a_connection_that_is_kept_alive(site: Site):
    connection = site.connect()
    for number in (1, 2, 3):
        connection.request("POST", "/tasks", b"body")
        assert connection.getresponse().read() == b"task %d" % number
    connection.request("HEAD", "/stream/5000")
    assert connection.getresponse().read() == b""
    connection.request("GET", "/stream/5000")
    assert len(connection.getresponse().read()) == 5000
    connection.request("POST", "/nowhere/17?x=1", headers={"Connection": "close"})
    assert connection.getresponse().status == 404
    connection.close()
    expected = [(CREATE, "200")] * 3
    expected += [("HEAD /stream/{id}", "200"), ("GET /stream/{id}", "200")]
    assert site.ends("client-1") == [*expected, ("POST /nowhere/{id}", "404")]
    assert [event.nth for event in site.events() if event.key == CREATE] == [1, 2, 3]


def test_pipelined_requests_are_answered_in_order(site: Site):
    with socket.create_connection(("127.0.0.1", site.port), WAIT_S) as client:
        asked = b"POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nnew"
        last = b"GET /stream/2000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        client.sendall(asked * 3 + last)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert [answer.index(b"task %d" % number) for number in (1, 2, 3)] == sorted(
        answer.index(b"task %d" % number) for number in (1, 2, 3)
    )
    assert site.ends("client-1") == [(CREATE, "200")] * 3 + [("GET /stream/{id}", "200")]


def test_a_body_that_waits_to_be_asked_for(site: Site):
    with socket.create_connection(("127.0.0.1", site.port), WAIT_S) as client:
        client.sendall(
            b"POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"new")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert site.created == [b"new"]


@pytest.mark.parametrize("is_chunked", [True, False])
def test_large_bodies_both_ways(site: Site, is_chunked: bool):
    pieces = [MEGABYTES[at : at + 100_000] for at in range(0, len(MEGABYTES), 100_000)]
    body = iter(pieces) if is_chunked else MEGABYTES
    status, digest = site.post("/digest", body)
    assert (status, digest.decode()) == (200, hashlib.sha256(MEGABYTES).hexdigest())
    connection = site.connect()
    connection.request("GET", "/stream/8000000")
    assert len(connection.getresponse().read()) == 8_000_000
    connection.close()


def test_a_slow_reader_holds_the_server_back(site: Site):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = site.proxy.route_http("client-2", server.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port), WAIT_S) as client:
            client.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
            taken, _address = server.accept()
            with taken:
                taken.recv(65536)
                taken.settimeout(0.5)
                head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
                sent = taken.send(head)
                with contextlib.suppress(TimeoutError):
                    while sent < 100_000_000:
                        sent += taken.send(b"x" * 100_000)
                # Less than the whole: the buffers of four sockets and of the proxy.
                assert sent < 100_000_000
                taken.settimeout(WAIT_S)
                left = sent
                while left:
                    left -= len(client.recv(1 << 20))


@SIDES
def test_a_cut_before_leaves_nothing_and_after_loses_the_reply(site: Site, side: Side):
    rule = site.at(Intervention.CUT, side)
    with pytest.raises(ConnectionResetError):
        site.post()
    event = site.fired(rule)
    assert event.completion == ("200" if side is Side.AFTER else "CUT")
    assert len(site.created) == (1 if side is Side.AFTER else 0)
    assert site.post()[0] == 200


@SIDES
def test_a_delay_is_felt_and_harmless(site: Site, side: Side):
    rule = site.at(Intervention.HOLD, side, ms=100)
    began = time.monotonic()
    assert site.post() == (200, b"task 1")
    assert time.monotonic() - began >= 0.1
    site.fired(rule)


@SIDES
def test_a_hold_lasts_until_it_is_released(site: Site, side: Side):
    rule = site.at(Intervention.HOLD, side, ms=60_000)
    answers: list[tuple[int, bytes]] = []
    asking = threading.Thread(target=lambda: answers.append(site.post()))
    asking.start()
    site.fired(rule)
    assert len(site.created) == (1 if side is Side.AFTER else 0)
    assert answers == []
    site.release(rule)
    asking.join(WAIT_S)
    assert answers == [(200, b"task 1")]


@SIDES
def test_a_server_ended_at_a_request_has_it_or_not_and_nobody_hears(site: Site, side: Side):
    # The loop of uvicorn cannot be killed within a process; its sockets are as good as gone.
    rule = site.at(Intervention.FREEZE, side)
    ended: list[ConnectionError] = []

    def ask() -> None:
        try:
            site.post()
        except ConnectionError as error:
            ended.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    site.fired(rule)
    assert len(site.created) == (1 if side is Side.AFTER else 0)
    site.proxy.cut("client-1")
    asking.join(WAIT_S)
    assert len(ended) == 1
    site.proxy.started("client-1")
    assert site.post()[0] == 200
    assert len(site.created) == (2 if side is Side.AFTER else 1)


@SIDES
def test_a_client_that_is_dropped_leaves_the_server_its_request(site: Site, side: Side):
    rule = site.at(Intervention.STRAND, side)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        site.post()
    site.fired(rule)
    assert len(site.created) == (1 if side is Side.AFTER else 0)


def test_a_held_reply_of_megabytes_arrives_whole(site: Site):
    key = "GET /stream/{id}"
    rule = site.at(Intervention.HOLD, Side.AFTER, key, ms=50)
    connection = site.connect()
    connection.request("GET", "/stream/5000000")
    assert len(connection.getresponse().read()) == 5_000_000
    connection.close()
    site.fired(rule)


def connect_and_read(client: socket.socket, port: int) -> bytes:
    """Read a byte; a reset may come as early as while connecting."""
    client.connect(("127.0.0.1", port))
    return client.recv(1)


def test_a_server_that_is_away_refuses_and_the_proxy_says_so(site: Site):
    site.stop_server()
    with socket.socket() as client:
        client.settimeout(WAIT_S)
        client.bind(("127.0.0.1", 0))
        port = client.getsockname()[1]
        with pytest.raises(ConnectionResetError):
            connect_and_read(client, site.port)
    assert site.proxy.has_refused("client-1", port)
    assert not site.proxy.has_refused("client-1", port + 1)
    assert site.ends("client-1") == []


def test_a_client_that_goes_leaves_nothing_open(site: Site):
    with socket.create_connection(("127.0.0.1", site.port), WAIT_S) as client:
        client.sendall(b"POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nnew")
        wait_until(site.events)
    wait_until(lambda: site.ends("client-1") == [(CREATE, "CUT")])


def test_another_server_for_the_next_schedule(site: Site):
    other = Site()
    try:
        assert site.proxy.route_http("client-1", other.upstream[1]) == site.port
        assert site.post() == (200, b"task 1")
        assert (len(site.created), len(other.created)) == (0, 1)
    finally:
        other.close()
