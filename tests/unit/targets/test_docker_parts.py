"""Parts of the Docker target that need no engine."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.targets.docker.engine import DEFAULT_URL, chosen_url
from chaosfuzz.targets.docker.network import PrivateNetwork
from chaosfuzz.targets.docker.orders import GateLine, Program, admit, listen
from chaosfuzz.targets.docker.starvation import STALL_NS, Starvation
from chaosfuzz.targets.docker.things import OWNER, labels_of, owner_of

SECOND_NS = 10**9
GATE = Path(__file__).parents[3] / "chaosfuzz/targets/docker/gate.py"


def test_another_machine_s_engine_is_refused_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert chosen_url() == DEFAULT_URL
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.7:2375")
    with pytest.raises(UsageError, match=r"10\.0\.0\.7.*\nunset it"):
        chosen_url()
    monkeypatch.setenv("CHAOSFUZZ_DOCKER_REMOTE", "1")
    assert chosen_url() == "tcp://10.0.0.7:2375"


def test_labels_name_the_owner_and_nothing_else_does() -> None:
    owner = owner_of(labels_of("7", "docker lane 0", "worker-1"))
    assert owner is not None
    assert owner.pid == os.getpid()
    assert not owner.owner_is_gone()
    assert owner_of(None) is None
    assert owner_of({OWNER: "{}"}) is None
    assert owner_of({OWNER: "rubbish"}) is None


def test_a_dead_process_is_an_owner_that_is_gone() -> None:
    labels = labels_of("7", "docker lane 0")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    changed = json.loads(labels[OWNER]) | {"pid": dead.pid}
    owner = owner_of({OWNER: json.dumps(changed)})
    assert owner is not None
    assert owner.owner_is_gone()


def test_every_container_has_an_address_of_its_own() -> None:
    network = PrivateNetwork(identity="n", name="n", subnet=IPv4Network("10.213.0.0/26"))
    components = ("db", "server-1", *(f"worker-{slot}" for slot in range(1, 6)))
    addresses = [network.address(name, turn) for name in components for turn in "ab"]
    assert len({*addresses, network.subnet[1]}) == len(addresses) + 1
    assert all(address in network.subnet for address in addresses)


def test_waiting_for_a_processor_is_noticed(tmp_path: Path) -> None:
    def waited(ns: int) -> None:
        (tmp_path / "7").mkdir(exist_ok=True)
        (tmp_path / "7/schedstat").write_text(f"1 {ns} 1")

    starvation = Starvation(tmp_path)
    waited(5 * STALL_NS)
    starvation.look(lambda: [7], SECOND_NS)
    assert not starvation.spans, "a wait before the first look does not count"
    waited(5 * STALL_NS + STALL_NS // 2)
    starvation.look(lambda: [7, 8], 2 * SECOND_NS)
    assert not starvation.spans
    waited(7 * STALL_NS)
    starvation.look(lambda: [7], 2 * SECOND_NS + 1)
    assert not starvation.spans, "another look follows only after a while"
    starvation.look(lambda: [7], 3 * SECOND_NS)
    assert starvation.spans == [(2 * SECOND_NS, 3 * SECOND_NS)]


class Guarded:
    """A gate as a process of this machine; its socket is elsewhere than in a container."""

    def __init__(self, directory: Path) -> None:
        self.listener = listen(directory)
        script = directory / "gate.py"
        script.write_text(GATE.read_text().replace("/run/chaosfuzz", str(directory)))
        place = {**os.environ, "TMPDIR": str(directory)}
        self.process = subprocess.Popen([sys.executable, str(script)], env=place)
        self.pidfd = os.pidfd_open(self.process.pid)
        line = admit(self.listener, self.pidfd, 20)
        assert line is not None
        self.line: GateLine = line

    def close(self) -> None:
        self.line.close()
        self.listener.close()
        self.process.kill()
        self.process.wait()
        os.close(self.pidfd)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Guarded]:
    guarded = Guarded(tmp_path)
    yield guarded
    guarded.close()


def test_a_gate_ends_with_its_program_and_its_exit_code(gate: Guarded) -> None:
    gate.line.run(Program(argv=["sh", "-c", "exit 7"]))
    assert gate.process.wait(20) == 7


def test_a_gate_passes_on_the_signal_that_ends_its_program(gate: Guarded) -> None:
    gate.line.run(Program(argv=["sleep", "60"]))
    gate.process.send_signal(signal.SIGTERM)
    assert gate.process.wait(20) == 128 + signal.SIGTERM


def test_a_program_that_is_ended_by_order_leaves_the_gate_for_another(
    gate: Guarded, tmp_path: Path
) -> None:
    ready = tmp_path / "state"
    first = gate.line.run(Program(argv=["sleep", "60"], ready_file=(str(ready), 2, "ready")))
    ready.write_text("7\nready\n")
    assert gate.line.wait_ready(20)
    assert gate.line.end(20)
    second = gate.line.run(Program(argv=["true"], may_end=True, avoid=frozenset({first})))
    assert second != first
    assert gate.line.wait_ended(20) == 0
    assert gate.process.poll() is None


def test_a_gate_ends_once_the_harness_is_gone(gate: Guarded) -> None:
    gate.line.run(Program(argv=["sleep", "60"]))
    gate.line.close()
    assert gate.process.wait(20) == 0


def test_a_line_to_a_dead_gate_says_so_at_once(gate: Guarded) -> None:
    gate.line.run(Program(argv=["sleep", "60"]))
    gate.process.kill()
    assert not gate.line.wait_ready(20)
    with socket.socket(socket.AF_UNIX):
        assert not gate.line.end(20)
