import os
import sys

import pytest

from tests.support.wait import wait_for
from tillstream.local import processes

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def sleeper(tmp_path):
    pid = processes.start(
        tmp_path, "sleeper", SLEEP, dict(os.environ), tmp_path / "s.out", tmp_path
    )
    # Until exec is through, the child still has this process's environment.
    wait_for(
        lambda: processes.is_ours(pid, tmp_path), 30, "the child's own environment", every_s=0.01
    )
    yield pid
    processes.end([pid], tmp_path)


def test_a_process_is_known_by_its_stack_and_name(sleeper, tmp_path):
    assert processes.is_ours(sleeper, tmp_path, "sleeper")
    assert not processes.is_ours(sleeper, tmp_path, "kafka")
    assert not processes.is_ours(sleeper, tmp_path / "other")


def test_a_recycled_pid_is_not_ours_and_never_ended(tmp_path):
    stranger = os.getpid()
    assert not processes.is_ours(stranger, tmp_path)
    processes.end([stranger], tmp_path)


def test_processes_are_found_without_a_record_of_them(sleeper, tmp_path):
    assert processes.all_of(tmp_path) == {sleeper: "sleeper"}


def test_end_returns_when_the_process_is_gone(sleeper, tmp_path):
    processes.end([sleeper], tmp_path)
    assert not processes.is_ours(sleeper, tmp_path)
    assert processes.all_of(tmp_path) == {}


def test_a_log_grown_too_large_is_set_aside(tmp_path):
    log = tmp_path / "a.out"
    log.write_bytes(b"x" * 11)
    processes.rotate(log, limit_bytes=10)
    assert not log.exists()
    assert (tmp_path / "a.out.1").stat().st_size == 11


def test_trouble_shows_the_lines_that_name_an_error(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("INFO fine\nERROR no disk\nINFO bye\n")
    assert processes.trouble(log) == ["ERROR no disk"]
