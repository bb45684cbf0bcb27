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
    stack.up(taskmanagers=3)
    chaos(9, 1, "--here")


@pytest.mark.long
@pytest.mark.timeout(TIMEOUT_S + 60)
# 21 changes clocks, 6 fills the disk, 277 drains a quiet job; all of these three change the release
# 110: a clock that steps before a savepoint, and under a TaskManager that starts. 111: ZooKeeper is away for
# about as long as a session lasts.
@pytest.mark.parametrize(
    ("seed", "minutes"), [(6, 2), (21, 2), (29, 2), (277, 2), (110, 5), (111, 5), (124, 5)]
)
def test_chaos_on_a_stack_of_its_own_breaks_no_promise(seed, minutes, tmp_path, monkeypatch):
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
    chaos(seed, minutes)
