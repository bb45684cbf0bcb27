"""What dies of the cluster is started again, and only by the stack's own supervisor."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.wait import wait_for
from tillstream import conf
from tillstream.chaos import clock
from tillstream.jars import one_at_a_time
from tillstream.local import ports, processes, stack, supervisor
from tillstream.local.layout import StackError
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


def test_on_a_full_disk_nothing_is_started_that_could_not_be_recorded(running: Stack, monkeypatch):
    killed(running, "jobmanager")
    monkeypatch.setattr(stack, "free_mib", lambda folder: 3)
    with pytest.raises(StackError, match="the disk is full: 3 MiB free"):
        running.revive()
    assert "jobmanager" not in processes.all_of(running.layout.root).values()
    assert running.revive("zookeeper".__eq__) == []  # nothing is dead of what is asked


def test_a_process_that_cannot_be_recorded_is_ended(running: Stack, monkeypatch):
    def full(record: object) -> None:
        raise OSError("No space left on device")

    killed(running, "jobmanager")
    monkeypatch.setattr(running.layout, "write", full)
    with pytest.raises(OSError, match="No space left"):
        running.revive()
    assert "jobmanager" not in processes.all_of(running.layout.root).values()


@pytest.mark.parametrize("ended_by", [KeyboardInterrupt, StackError("does not serve")])
def test_what_an_up_has_taken_back_is_not_started_by_the_supervisor(
    running: Stack, monkeypatch, ended_by
):
    def serve(*_: object) -> None:
        assert running.pid("taskmanager-3")
        raise ended_by

    def wanted(taskmanagers: int) -> list[Service]:
        more = [f"taskmanager-{n}" for n in range(2, taskmanagers + 1)]
        return [Service(name, "", lambda c: SLEEP, lambda c: True) for name in (*NAMES, *more)]

    monkeypatch.setattr(stack, "services", wanted)
    monkeypatch.setattr(stack, "ensure_jars", lambda progress: None)
    monkeypatch.setattr(running, "_wait", serve)
    before = running.layout.read()
    running.layout.write(before | {"ports": dict(ports.DEFAULTS)})
    with pytest.raises((KeyboardInterrupt, StackError)):
        running.up(taskmanagers=3)
    assert running.revive() == []
    after = running.layout.read()
    assert (after["taskmanagers"], after["processes"]) == (1, before["processes"])
    names = set(processes.all_of(running.layout.root).values())
    assert not names & {"taskmanager-2", "taskmanager-3"}


def test_what_dies_at_once_is_started_ever_more_rarely_until_it_has_lived_for_a_minute():
    now = 1000.0
    pauses = supervisor.Pauses(lambda: now)
    waited = []
    for _ in range(6):
        pauses.started("taskmanager-1")
        assert pauses.may_start("jobmanager")  # what others do is no matter
        began = now
        while not pauses.may_start("taskmanager-1"):
            now += 1
        waited.append(now - began)
    assert waited == [5, 10, 20, 40, 60, 60]
    now += 61
    pauses.started("taskmanager-1")
    now += 5
    assert pauses.may_start("taskmanager-1")
    assert not pauses.may_start("kafka")


def test_it_goes_on_after_a_failure_and_ends_with_its_stack(monkeypatch):
    outcomes = [OSError("No space left"), ["jobmanager"], ["jobmanager"], []]
    said: list[str] = []

    class Revived:
        lock = contextlib.nullcontext
        layout = type(
            "Layout", (), {"read": lambda self: {"flink": {"rest": "http://127.0.0.1:1"}}}
        )()

        def pid(self, name: str) -> int:
            return os.getpid() if outcomes else 0

        def revive(self, which: object = None) -> list[str]:
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

    def full(line: str, **how: object) -> None:
        said.append(line)
        raise OSError("No space left")

    slept: list[float] = []
    monkeypatch.setattr("builtins.print", full)
    supervisor.run(Revived(), slept.append)
    assert slept == [1, 5, 1, 1, 1]
    assert "nothing (No space left)" in said[0]
    assert "started again: jobmanager" in said[1]


def test_it_waits_under_a_clock_that_is_changed(tmp_path):
    library = clock.library()
    if not library:
        pytest.skip("libfaketime is not installed")
    (tmp_path / "clock").write_text("-3s\n")
    code = (
        "import os; from tillstream.local.supervisor import wait; began = os.times().elapsed; wait(0.5); "
        "assert 0.4 < os.times().elapsed - began < 5"
    )
    env = os.environ | clock.of_file(library, tmp_path / "clock")
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=60)


def test_a_jobmanager_that_leads_nothing_for_long_is_ended_and_runs_again(
    running: Stack, monkeypatch
):
    now = [0.0]
    record = running.layout.read() | {"flink": {"rest": "http://127.0.0.1:1"}}
    running.layout.write(record)
    before = running.pid("jobmanager")
    monkeypatch.setattr(supervisor, "leads", lambda rest: False)
    monkeypatch.setattr(supervisor, "Leaderless", partial(supervisor.Leaderless, lambda: now[0]))
    pids: list[int] = []

    def sleep(seconds: float) -> None:
        now[0] += 10
        pids.append(running.pid("jobmanager"))
        if now[0] > 200 and pids[-1] not in (0, before):
            running.layout.write(
                running.layout.read() | {"processes": {}}
            )  # no longer its supervisor
        time.sleep(0.01)

    supervisor.run(running, sleep)
    assert pids[:5] == [before] * 5  # patient for as long as an election may take
    assert pids[-1] not in (0, before)


def test_a_leader_that_comes_back_in_time_is_left_alone():
    now = [0.0]
    leaderless = supervisor.Leaderless(lambda: now[0])
    said = [False] * 7 + [True] + [False] * 9
    found = []
    for one in said:
        found.append(leaderless.too_long(lambda one=one: one))
        now[0] += supervisor.ASKED_EVERY_S
    assert found == [False] * 16 + [True]


@pytest.mark.parametrize(("status", "body", "leads"), [
    (200, b"{}", True), (500, b"x", True),
    (503, b'{"errors":["Service temporarily unavailable due to an ongoing leader election."]}', False),
    (503, b"starting", True),
])  # fmt: skip
def test_only_the_answer_that_nothing_leads_is_taken_for_that(status, body, leads):
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.handle_request, daemon=True).start()
    assert supervisor.leads(f"http://127.0.0.1:{server.server_port}") is leads
    server.server_close()
    assert supervisor.leads(f"http://127.0.0.1:{server.server_port}")  # nobody answers
