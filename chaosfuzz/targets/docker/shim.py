"""The library that sets a component's clock wrong, made by the C compiler of this machine."""

import shutil
import subprocess
import tempfile
from pathlib import Path

SHIM_PATH = "/opt/chaosfuzz/clock_shim.so"
_TIMEOUT_S = 60.0


def compile_shim() -> bytes | None:
    """Return the library, None without a compiler: then clocks cannot be set wrong."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory(prefix="chaosfuzz-shim-") as directory:
        made = Path(directory) / "shim.so"
        source = Path(__file__).with_name("clock_shim.c")
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(made), str(source)]
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
        return made.read_bytes() if done.returncode == 0 else None
