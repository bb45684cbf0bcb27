"""Python packages that a job needs beside PyFlink, as wheels of the service's platform."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tillstream import conf
from tillstream.clients.programs import outcome
from tillstream.errors import Problem
from tillstream.flink_line import FlinkLine

# All that jobs import. What they do not, such as boto3, stays out; PyFlink and what it brings itself (numpy,
# pandas, pyarrow, protobuf, cloudpickle, py4j, pemja) is the service's own and must not be there twice.
NEEDED = ("click", "msgspec", "orjson", "pyyaml", "tzdata")
PLATFORM = "manylinux2014_x86_64"  # of the C library of 2012, so older than any the service has
CONSTRAINTS = conf.RESOURCES / "constraints.txt"
DOWNLOAD_TIMEOUT_S = 600
NOT_PACKED = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")

Say = Callable[[str], None]


def normal(name: str) -> str:
    """A package's name as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> dict[str, str]:
    """NEEDED with the versions of constraints.txt. Raises Problem."""
    lines = (line.partition("==") for line in CONSTRAINTS.read_text().split())
    versions = {normal(name): version for name, _, version in lines}
    if missing := [name for name in NEEDED if name not in versions]:
        raise Problem(f"constraints.txt has no {', '.join(missing)}: add what `pip freeze` says")
    return {name: versions[name] for name in NEEDED}


def cache(line: FlinkLine) -> Path:
    """Where wheels are kept for all clones of a user."""
    return conf.user_cache() / "wheels" / f"cp{line.python.replace('.', '')}-{PLATFORM}"


def fetch(line: FlinkLine, say: Say = lambda text: None) -> dict[str, Path]:
    """NEEDED as wheels for ``line``; downloads what the cache has not. Raises Problem."""
    folder = cache(line)
    wanted = pinned()
    found = {name: _cached(folder, name, version) for name, version in wanted.items()}
    if missing := [f"{name}=={wanted[name]}" for name, wheel in found.items() if wheel is None]:
        say(f"downloading {', '.join(missing)} for Python {line.python} on {PLATFORM}")
        _download(line, missing, folder)
        found = {name: _cached(folder, name, version) for name, version in wanted.items()}
    return {name: wheel for name, wheel in found.items() if wheel is not None}


def _cached(folder: Path, name: str, version: str) -> Path | None:
    for wheel in sorted(folder.glob("*.whl")):
        distribution, found, *_ = wheel.name.split("-")
        if (normal(distribution), found) == (name, version):
            return wheel
    return None


def _download(line: FlinkLine, wanted: list[str], folder: Path) -> None:
    """Aside first, so that what is in the cache is always whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--only-binary", ":all:", "--platform", PLATFORM),
            *("--implementation", "cp", "--python-version", line.python, "--dest", aside, *wanted),
        ]
        try:
            done = outcome(command, DOWNLOAD_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Problem(
                f"pip took more than {DOWNLOAD_TIMEOUT_S // 60} min: check the network, then try again"
            ) from None
        if done.returncode != 0:
            said = [one for one in done.stderr.splitlines() if one.startswith("ERROR")]
            raise Problem(
                f"pip has no wheels of {', '.join(wanted)} for Python {line.python} on {PLATFORM} "
                f"({said[-1] if said else 'it says nothing'}): check the network, and that "
                "constraints.txt names versions that have such wheels"
            )
        for wheel in Path(aside).glob("*.whl"):
            shutil.move(wheel, folder / wheel.name)


def contents(wheel: Path) -> dict[str, bytes]:
    """Path on sys.path -> bytes, of what a wheel puts there; no commands, headers, nor pip's own notes."""
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as held:
        for name in held.namelist():
            top, _, rest = name.partition("/")
            kind, _, inner = rest.partition("/")
            if name.endswith("/") or name.rpartition("/")[2] in NOT_PACKED:
                continue
            if not top.endswith(".data"):
                found[name] = held.read(name)
            elif kind in ("purelib", "platlib"):
                found[inner] = held.read(name)
    return found
