"""The proxy beside a plain byte forwarder, by pgbench: added latency and throughput.

Run it with `python tests/bench/wire_forwarding.py [SECONDS]`; each of the measurements takes so
long. Every measurement is made several times, alternating, and the median counts.
"""

import asyncio
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.postgres import Cluster, create_runtime_directory, locate_postgres
from chaosfuzz.wire import LaneWire

ROUNDS = 3
GOAL_ADDED_MS = 0.5
GOAL_RATIO = 0.5
_TPS = re.compile(r"tps = ([\d.]+) \(without")


def find_pgbench() -> str:
    found = shutil.which("pgbench")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    if found or installed:
        return found or str(installed[-1])
    sys.exit("pgbench is missing: install Debian's postgresql package, or put pgbench in PATH")


class Pipe(asyncio.Protocol):
    """Half of a plain forwarder: what arrives is written to the other half."""

    def __init__(self, peer: "Pipe | None" = None) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer = peer
        self.early = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        if self.peer is not None:
            self.peer.peer = self
            transport.write(self.peer.early)

    def data_received(self, data: bytes) -> None:
        if self.peer is None:
            self.early += data
        else:
            self.peer.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()


class ClientPipe(Pipe):
    """The client's half: it dials the server."""

    def __init__(self, server_port: int) -> None:
        super().__init__()
        self.server_port = server_port

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        dial = loop.create_connection(lambda: Pipe(self), "127.0.0.1", self.server_port)
        self.dialling = loop.create_task(dial)


@contextmanager
def plain_forwarder(server_port: int) -> Iterator[int]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncio.Server:
        return await loop.create_server(lambda: ClientPipe(server_port), "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def run_pgbench(pgbench: str, port: int, *options: str) -> str:
    command = [pgbench, "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-n", *options]
    done = subprocess.run(
        [*command, "postgres"], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        sys.exit(f"pgbench failed: {done.stderr}")
    return done.stdout


def median_latency_ms(pgbench: str, port: int, protocol: str, seconds: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        prefix = str(Path(directory) / "log")
        log = ("-l", f"--log-prefix={prefix}")
        run_pgbench(pgbench, port, "-S", "-c", "1", "-M", protocol, "-T", str(seconds), *log)
        lines = [line.split() for path in Path(directory).iterdir() for line in path.open()]
    return statistics.median(float(words[2]) for words in lines) / 1000


def throughput(pgbench: str, port: int, protocol: str, seconds: int) -> float:
    said = run_pgbench(pgbench, port, "-S", "-c", "8", "-M", protocol, "-T", str(seconds))
    return float(_TPS.search(said)[1])


def measure(pgbench: str, ports: dict[str, int], protocol: str, seconds: int) -> bool:
    latency: dict[str, list[float]] = {name: [] for name in ports}
    tps: dict[str, list[float]] = {name: [] for name in ports}
    for _round in range(ROUNDS):
        for name, port in ports.items():
            latency[name].append(median_latency_ms(pgbench, port, protocol, seconds))
            tps[name].append(throughput(pgbench, port, protocol, seconds))
    for name in ports:
        print(
            f"{protocol:9} {name:10} median latency {statistics.median(latency[name]):.3f} ms, "
            f"8 clients {statistics.median(tps[name]):8.0f} transactions/s"
        )
    added_ms = statistics.median(latency["proxy"]) - statistics.median(latency["direct"])
    # By rounds: what else the machine does changes more from round to round than within one.
    pairs = zip(tps["proxy"], tps["forwarder"], strict=True)
    ratio = statistics.median(proxy / forwarder for proxy, forwarder in pairs)
    print(
        f"{protocol:9} added latency {added_ms:.3f} ms (goal below {GOAL_ADDED_MS}), "
        f"throughput {ratio:.2f} of the plain forwarder (goal at least {GOAL_RATIO})"
    )
    return added_ms < GOAL_ADDED_MS and ratio >= GOAL_RATIO


def main() -> int:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    pgbench = find_pgbench()
    with Keeper() as keeper, closing(LaneWire()) as proxy:
        cluster = Cluster(keeper, locate_postgres(), create_runtime_directory("bench"))
        try:
            cluster.start(60)
            run_pgbench(pgbench, cluster.port, "-i", "-q")
            with plain_forwarder(cluster.port) as forwarder_port:
                ports = {
                    "direct": cluster.port,
                    "forwarder": forwarder_port,
                    "proxy": proxy.route("bench", ("127.0.0.1", cluster.port)),
                }
                reached = [
                    measure(pgbench, ports, protocol, seconds)
                    for protocol in ("simple", "extended", "prepared")
                ]
            proxy.check()
        finally:
            cluster.dispose()
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
