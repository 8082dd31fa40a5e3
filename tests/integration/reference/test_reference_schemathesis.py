"""Schemathesis against every operation: what the document says is so, and nothing breaks."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

Api = Callable[..., httpx.Client]
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
CONFIGURATION = Path(__file__).parents[3] / "schemathesis.toml"
ROLES = ("nobody", "user", "admin")
OPERATIONS = 35
# A server that hangs fails the run by the time-out of a request. This is for the program, which
# computes for eleven minutes on a busy machine of two processors and for longer on a busier one.
REQUEST_TIMEOUT_S = 10
PROGRAM_TIMEOUT_S = 3600
# Each request comes from another user, and only an admin sees what another has made.
UNFIT = {"user": ("--exclude-checks", "ensure_resource_availability")}
PLAIN = ("--no-color", "--warnings", "off", "--request-timeout", str(REQUEST_TIMEOUT_S))


def fuzz(client: httpx.Client, dsn: str, directory: Path, role: str, *options: str) -> None:
    url = str(client.base_url.join("/api-docs/openapi.json"))
    program = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)]
    variables = {"SCHEMATHESIS_HOOKS": str(HOOKS), "FUZZ_DSN": dsn, "FUZZ_ROLE": role}
    done = subprocess.run(
        [*program, "run", url, "--seed", "1", *PLAIN, *UNFIT.get(role, ()), *options],
        cwd=directory,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=PROGRAM_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert f"Tested: {OPERATIONS}" in done.stdout


@pytest.mark.long
def test_the_document_is_true_of_all_that_an_admin_can_reach(api: Api, dsn: str, tmp_path: Path):
    fuzz(api(None), dsn, tmp_path, "admin", "--phases", "coverage")


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES)
def test_random_requests_find_nothing(api: Api, dsn: str, tmp_path: Path, role: str):
    fuzz(api(None), dsn, tmp_path, role, "--phases", "fuzzing", "-n", "3")


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES)
def test_many_random_requests_find_nothing(api: Api, dsn: str, tmp_path: Path, role: str):
    phases = "coverage,fuzzing,stateful"
    fuzz(api(None), dsn, tmp_path, role, "--phases", phases, "-n", "100", "--continue-on-failure")
