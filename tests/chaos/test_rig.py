"""A run on a stack that is the user's too: what is its own, and how it ends, without the stack itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tillstream.chaos import clock, hands
from tillstream.chaos.hands import Hands
from tillstream.chaos.plan import Fault, Where, draw
from tillstream.chaos.rig import Rig
from tillstream.cluster.local import LocalCluster
from tillstream.cluster.protocol import JobError
from tillstream.cluster.submissions import Submissions
from tillstream.conf import PACKAGE
from tillstream.errors import Problem
from tillstream.local.layout import CODE
from tillstream.local.stack import Stack

SALES = draw(7, 120, Where())._replace(jobs=("sales",), source="kafka")
RUN = SimpleNamespace(job_id="of-before")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    stack = Stack(tmp_path / "user")
    at = {name: {"endpoint": "http://127.0.0.1:1"} for name in ("kinesis", "dynamodb", "s3")}
    at |= {"kafka": {"bootstrap": "127.0.0.1:1"}, "flink": {"rest": "http://127.0.0.1:1"}}
    stack.layout.write(at | {"region": "af-south-1", "processes": {}})
    folder = tmp_path / "run"
    folder.mkdir()
    said: list[str] = []
    made = Rig(SALES, stack, folder, own=False, say=said.append)
    made.said = said
    return made


def leave_savepoint(cluster: LocalCluster, job: str) -> str:
    folder = Path(cluster.savepoints_at.removeprefix("file://")) / job / "savepoint-1"
    folder.mkdir(parents=True)
    (folder / "_metadata").write_text("")
    cluster.submissions.note(job, "a" * 32, ended="stopped", savepoint=f"file://{folder}")
    return f"file://{folder}"


def test_a_job_of_the_user_does_not_go_on_from_what_a_run_left(rig: Rig):
    leave_savepoint(rig.jobs, "sales")
    with pytest.raises(JobError, match="has left no savepoint or checkpoint"):
        LocalCluster(rig.stack).locate("sales", "latest")


def test_a_run_does_not_go_on_from_what_a_job_of_the_user_left(rig: Rig):
    leave_savepoint(LocalCluster(rig.stack), "sales")
    with pytest.raises(JobError, match="has left no savepoint or checkpoint"):
        rig.jobs.locate("sales", "latest")
    own = leave_savepoint(rig.jobs, "sales")
    assert rig.jobs.locate("sales", "latest") == own


def test_a_lost_job_of_the_user_is_still_lost_after_a_run_with_one_of_that_name(rig: Rig):
    users = Submissions(rig.stack.layout.root / "jobs.jsonl")
    users.note("sales", "a" * 32, parallelism=1, **{"from": None})
    rig.jobs.submissions.note("sales", "b" * 32, parallelism=1, **{"from": None})
    rig.jobs.submissions.note("sales", "b" * 32, ended="cancelled")
    assert users.lost([]) == ["sales"]


# -- traffic ---------------------------------------------------------------------------------------


def test_a_phase_whose_stream_is_away_as_it_begins_is_started_again(rig: Rig, monkeypatch):
    began: list[str] = []

    def sim(out: object, *arguments: str) -> int:
        folder = Path(arguments[arguments.index("--truth") + 1])
        began.append(folder.name)
        if len(began) < 3:
            return 1
        folder.mkdir()
        (folder / "sent.jsonl").write_text("{}\n")
        return 1  # such as with records in its spool: it is not sent a second time

    monkeypatch.setattr(rig.stopping, "wait", lambda seconds: None)
    monkeypatch.setattr(rig, "_until_stop", sim)
    rig.begin()
    sent = rig.sent() / "sent.jsonl"
    assert began == ["phase-0"] * 3 + [f"phase-{n}" for n in range(1, len(SALES.phases))]
    assert sent.read_text() == "{}\n" * len(SALES.phases)


def test_a_phase_that_sent_nothing_is_said_and_the_others_are_judged(rig: Rig, monkeypatch):
    monkeypatch.setattr(rig, "_until_stop", lambda out, *arguments: 0)
    rig.begin()
    assert (rig.sent() / "sent.jsonl").read_bytes() == b""
    assert rig.said[0] == "phase 0 sent nothing: see sim-0.out"


# -- the end ---------------------------------------------------------------------------------------


def test_a_second_ctrl_c_leaves_no_stack_behind(rig: Rig, monkeypatch):
    rig.own, ended = True, []
    before = signal.getsignal(signal.SIGINT)  # ignored, in the background of a shell
    monkeypatch.setattr(rig, "undo", lambda: os.kill(os.getpid(), signal.SIGINT))
    monkeypatch.setattr(rig.stack, "down", lambda: ended.append("down"))
    rig.close()
    assert ended == ["down"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_stack_is_taken_down_although_a_fault_cannot_be_undone(rig: Rig, monkeypatch):
    def full() -> None:
        raise OSError("No space left")

    rig.own, ended = True, []
    monkeypatch.setattr(rig, "undo", full)
    monkeypatch.setattr(rig.stack, "down", lambda: ended.append("down"))
    with pytest.raises(OSError, match="No space"):
        rig.close()
    assert ended == ["down"]


def test_the_work_on_jobs_is_over_before_they_are_cancelled(rig: Rig, monkeypatch):
    order: list[str] = []
    submit_ends = threading.Event()

    def submits() -> None:
        submit_ends.wait(30)
        order.append("submitted")

    rig.worker, rig._submitted = threading.Thread(target=submits, daemon=True), {"sales"}
    rig.worker.start()
    monkeypatch.setattr(rig, "undo", submit_ends.set)
    monkeypatch.setattr(rig.stack, "up", lambda: order.append("up"))
    monkeypatch.setattr(rig.jobs, "running", lambda job: RUN)
    monkeypatch.setattr(rig.jobs, "cancel", lambda job: order.append(f"cancelled {job}"))
    rig.close()
    assert order == ["submitted", "up", "cancelled sales"]


def test_of_a_clock_that_was_set_nothing_stays_in_memory(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    theirs, ours = (
        [f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"] for pid in (ended.pid, os.getpid())
    )
    others = ["faketime_shm_", "sem.mp-5", "tillstream-tests-x"]
    for name in (*theirs, *ours, *others):
        (tmp_path / name).touch()
    clock.sweep(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {*ours, *others}


def restore(rig: Rig) -> str:
    return Hands(rig, rig.say)._restore(Fault(10, "restore", "sales"))


def test_a_job_that_was_stopped_as_the_run_ends_is_not_submitted_again(rig: Rig, monkeypatch):
    submitted: list[str] = []
    monkeypatch.setattr(rig.jobs, "running", lambda job: None if rig.stopping.is_set() else RUN)
    monkeypatch.setattr(rig.jobs, "stop", lambda job: rig.stopping.set())
    monkeypatch.setattr(rig.jobs, "submit", lambda job, *how, **more: submitted.append(job))
    began = time.monotonic()
    with pytest.raises(Problem, match="the run is over"):
        restore(rig)
    assert submitted == []
    assert time.monotonic() - began < hands.PAUSE_S  # it does not try again


def test_a_release_is_loaded_by_new_processes_that_start_every_job_from_its_savepoint(
    rig: Rig, monkeypatch
):
    """Of the jobs only how they are stopped and submitted; copies and processes are real."""
    rig.plan = rig.plan._replace(jobs=("loyalty", "sales"))
    rig.releases.prepare()
    monkeypatch.delenv(CODE)
    running, order, began = {"loyalty", "sales"}, [], []

    def process() -> int:
        env = os.environ | {"PYTHONPATH": str(rig.releases.link), "PYTHONSAFEPATH": "1"}
        says = "import tillstream.conf; print(tillstream.conf.__file__, flush=True); input()"
        began.append(
            subprocess.Popen([sys.executable, "-c", says], env=env, stdin=-1, stdout=-1, text=True)
        )
        order.append(Path(began[-1].stdout.readline()).resolve().parts[-4])
        return began[-1].pid

    def stop(job: str) -> None:
        running.remove(job)
        order.append(f"stopped {job}")

    def submit(job: str, parallelism, overrides, start_from, file, timeout_s) -> str:
        order.append(f"{job} {start_from} {file.resolve().parts[-4]}")
        assert file.read_text() == (PACKAGE / "jobs" / f"{job}.py").read_text()
        return job

    pids = {"taskmanager-1": process()}

    def kill(name: str, number: int) -> bool:
        order.append(f"signal {number} {name}")
        pids[name] = process()
        return True

    monkeypatch.setattr(rig, "taskmanagers", lambda: list(pids))
    monkeypatch.setattr(rig, "signal", kill)
    monkeypatch.setattr(rig.stack, "pid", pids.get)
    monkeypatch.setattr(rig.jobs, "running", lambda job: RUN if job in running else None)
    monkeypatch.setattr(rig.jobs, "stop", stop)
    monkeypatch.setattr(rig.jobs, "submit", submit)
    try:
        hand = Hands(rig, rig.say)
        assert hand._release(Fault(10, "release")) == "number 2, loaded by taskmanager-1"
        pids["taskmanager-1"] = began[0].pid  # the process of before, which has the old one
        running |= {"loyalty", "sales"}
        monkeypatch.setattr(rig, "signal", lambda *_: True)
        with pytest.raises(Problem, match="no TaskManager has loaded release 3"):
            hand._release(Fault(20, "release"))
    finally:
        for one in began:
            one.communicate("\n", timeout=60)
    assert order[:6] == [
        "release-1", "stopped loyalty", "stopped sales", "signal 9 taskmanager-1", "release-2",
        "loyalty latest release-2",
    ]  # fmt: skip


def test_a_worker_without_work_ends_with_its_run(rig: Rig):
    Hands(rig, rig.say)
    rig.worker.start()
    rig.stopping.set()
    rig.worker.join(30)
    assert not rig.worker.is_alive()


def test_a_job_that_was_submitted_is_no_failure_whatever_is_away_then(rig: Rig, monkeypatch):
    looks = [RUN]
    monkeypatch.setattr(rig.jobs, "running", lambda job: looks.pop() if looks else None)
    monkeypatch.setattr(rig.jobs, "stop", lambda job: None)
    monkeypatch.setattr(rig.jobs, "submit", lambda job, *how, **more: "of-now")
    assert restore(rig) == "of-now"
    assert rig.said == []
