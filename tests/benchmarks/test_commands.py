"""Every benchmark that is a command runs by its path, from anywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

FOLDER = ROOT / "benchmarks"
COMMANDS = sorted(f.name for f in FOLDER.glob("*.py") if "\ndef main(" in f.read_text())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_benchmark_is_run_by_its_path(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(FOLDER / name), "--help"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
