import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["click", "psycopg", "pydantic", "hypothesis"])
def test_a_missing_dependency_is_reported_with_the_command_that_installs_it(module: str):
    program = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from chaosfuzz.cli import run\n"
        "sys.exit(run(['fuzz', '--help']) or run(['doctor']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert f"the Python module {module}, which chaosfuzz needs, is not installed" in done.stderr
    assert done.stderr.splitlines()[-1] == (
        f"  install what is missing with: {sys.executable} -m pip install chaosfuzz"
    )
    assert "fault of chaosfuzz" not in done.stderr
