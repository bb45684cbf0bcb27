"""A stack broken by a seed: whatever is killed, frozen, cut or moved, every promise holds."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TIMEOUT_S = 1500


def chaos(seed: int, minutes: float, *options: str) -> None:
    command = [sys.executable, "-m", "tillstream.cli", "chaos", "--seed", str(seed)]
    done = subprocess.run(
        [*command, "--minutes", str(minutes), *options],
        env=os.environ, capture_output=True, text=True, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise held" in done.stdout


def test_a_minute_of_chaos_on_the_running_stack_breaks_no_promise(stack):
    stack.up(taskmanagers=2)
    chaos(9, 1, "--here")


@pytest.mark.long
@pytest.mark.timeout(TIMEOUT_S + 60)
# 21 changes clocks, 6 fills the disk, 277 drains a quiet job; all of these three change the release
@pytest.mark.parametrize("seed", [6, 21, 29, 277])
def test_two_minutes_of_chaos_on_a_stack_of_its_own_break_no_promise(seed, tmp_path, monkeypatch):
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
    chaos(seed, 2)
