"""From nothing but the wheel: pip install, then the demo to its proof."""

from __future__ import annotations

import sys

import pytest

from tests.packaging.conftest import call, outside, site_packages
from tests.support import ROOT
from tillstream import jars

INSTALL_AND_RUN_S = 2400


@pytest.mark.integration
@pytest.mark.long
@pytest.mark.timeout(INSTALL_AND_RUN_S)
def test_the_demo_proves_itself_from_an_empty_environment(wheel, tmp_path):
    call(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    call(python, "-m", "pip", "install", "--constraint", ROOT / "constraints.txt", wheel)
    assert not [p for p in site_packages(python).iterdir() if p.name in ("jobs", "udfs", "tests")]
    empty = tmp_path / "empty"
    empty.mkdir()
    env = outside(tmp_path / "home")
    env["TILLSTREAM_JARS"] = str(jars.ensure_jars(print).folder)  # else Maven builds them there
    command = python.parent / "tillstream"
    try:
        said = call(command, "demo", "--seconds", "15", cwd=empty, env=env)
    finally:
        call(command, "down", "--purge", cwd=empty, env=env)
    assert "stopped with savepoint" in said
    assert not list(empty.iterdir())
