"""What the pg package of Node.js does, through the proxy."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from integration.wire.harness import Wire

PROGRAM = """
const {Client} = require('pg');
(async () => {
  const client = new Client(process.env.DSN);
  await client.connect();
  const sum = await client.query('select $1::int as a', [5]);
  for (const id of [1, 2])
    await client.query({name: 'n1', text: 'select status from tasks where id = $1', values: [id]});
  await client.query('listen news');
  const heard = new Promise(tell => client.on('notification', said => tell(said.payload)));
  await client.query("notify news, 'js'");
  await client.query('begin');
  await client.query("insert into tasks (status) values ('j')");
  await client.query('commit');
  await client.query('select 1/0').catch(() => {});
  console.log(sum.rows[0].a, await heard);
  await client.end();
})();
"""


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed")
    directory = tmp_path_factory.mktemp("node")
    cache = str(directory / "cache")
    command = ["npm", "install", "--no-audit", "--no-fund", "--cache", cache, "pg"]
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        pytest.skip(f"npm cannot install pg: {done.stderr.strip()[-200:]}")
    return directory


@pytest.mark.long
def test_queries_names_notifications_and_transactions(wire: Wire, node_modules: Path):
    dsn = f"postgres://postgres@127.0.0.1:{wire.port('worker-1')}/{wire.database}"
    done = subprocess.run(
        ["node", "-e", PROGRAM],
        cwd=node_modules,
        env={**os.environ, "DSN": dsn},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.split() == ["5", "js"], done.stderr
    wire.wait_balanced()
    heads = [key.rpartition(" [")[0] for key, _end in wire.ends()]
    assert "COMMIT of INSERT tasks 'j'" in heads
    assert heads.count("SELECT tasks") == 2
