"""The wheel of this tree, built and installed once for all tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support import ROOT

NOT_COPIED = (
    ".git",
    ".venv*",
    ".tillstream",
    "build",
    "dist",
    "target",
    "*.egg-info",
    "__pycache__",
)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: what an earlier build left in the clone would come along."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, tree)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with the wheel in it, and the libraries of the one that runs this."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", venv)
    binary = venv / "bin" / "python"
    call(sys.executable, "-m", "pip", "--python", binary, "install", "--no-deps", "--no-index",
         "--no-compile", wheel)  # fmt: skip
    # A path in a .pth file comes after the environment's own; .pth files there, such as that of an
    # editable install, are not read.
    (site_packages(binary) / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return binary


def site_packages(python: Path) -> Path:
    return python.parent.parent / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"


def outside(home: Path) -> dict[str, str]:
    """An environment in which nothing speaks of this clone. ``home`` takes $HOME's place."""
    ours = ("PYTHONPATH", "VIRTUAL_ENV", "HOME")
    env = {k: v for k, v in os.environ.items() if k not in ours and not k.startswith("TILLSTREAM_")}
    home.mkdir(exist_ok=True)
    return env | {"HOME": str(home)}


def call(*command: str | Path, **more: object) -> str:
    """stdout of a command; AssertionError with all it said when it fails."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, **more  # type: ignore[call-overload]
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout
