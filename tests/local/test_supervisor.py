"""What dies of the cluster is started again, and only by the stack's own supervisor."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.wait import wait_for
from tillstream import conf
from tillstream.jars import one_at_a_time
from tillstream.local import processes, stack, supervisor
from tillstream.local.services import Service, is_cluster
from tillstream.local.stack import Stack

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
NAMES = ("zookeeper", "kafka", "jobmanager", "taskmanager-1", "supervisor")


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A stack of sleeping processes whose supervisor this process is."""
    made = Stack(tmp_path)
    wanted = [Service(name, "", lambda context: SLEEP, lambda context: True) for name in NAMES]
    monkeypatch.setattr(stack, "services", lambda taskmanagers: wanted)
    monkeypatch.setattr(stack, "jar_set", lambda: None)
    monkeypatch.setattr(stack, "environment", lambda layout: dict(os.environ))
    monkeypatch.setattr(stack.flink_home, "client_environment", lambda layout: {})
    real = processes.is_ours

    def is_ours(pid: int, folder: Path, name: str | None = None) -> bool:
        return pid == os.getpid() if name == "supervisor" else real(pid, folder, name)

    monkeypatch.setattr(processes, "is_ours", is_ours)
    record = {part: {} for part in conf.STACK_PARTS} | {"taskmanagers": 1, "processes": {}}
    made._start(stack.Context(made.layout, None, {}), record, wanted[:-1])
    record["processes"]["supervisor"] = {"pid": os.getpid(), "port": 0, "log": ""}
    made.layout.write(record)
    yield made
    processes.end(processes.all_of(made.layout.root), made.layout.root)


def killed(stack: Stack, *names: str) -> dict[str, int]:
    pids = {name: stack.pid(name) for name in names}
    for name, pid in pids.items():
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda name=name: not stack.pid(name), 30, f"{name} to be gone", every_s=0.01)
    return pids


def test_what_died_of_the_cluster_runs_again_and_nothing_twice(running: Stack):
    before = killed(running, "jobmanager", "taskmanager-1", "zookeeper", "kafka")
    assert running.revive() == ["zookeeper", "jobmanager", "taskmanager-1"]
    assert running.revive() == []
    assert all(running.pid(name) not in (0, before[name]) for name in before if is_cluster(name))
    assert running.pid("kafka") == 0  # a stand-in is left as it is: `up` or a test starts it


def test_while_an_up_or_a_down_is_at_work_it_keeps_still(running: Stack):
    killed(running, "jobmanager")
    with one_at_a_time(running.layout.home / "stack.lock"):
        assert running.revive() == []
    assert running.revive() == ["jobmanager"]


def test_after_a_down_nothing_is_started_again(running: Stack):
    killed(running, "jobmanager")
    running.down()
    assert running.revive() == []
    supervisor.run(running)  # returns: it is no longer the stack's


def test_it_goes_on_after_a_failure_and_ends_with_its_stack(capsys):
    outcomes = [OSError("No space left"), ["jobmanager"], []]

    class Revived:
        lock = contextlib.nullcontext

        def pid(self, name: str) -> int:
            return os.getpid() if outcomes else 0

        def revive(self) -> list[str]:
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

    slept: list[float] = []
    supervisor.run(Revived(), slept.append)
    assert slept == [1, 5, 1, 5, 1]
    said = capsys.readouterr().out
    assert "nothing (No space left)" in said
    assert "started again: jobmanager" in said
