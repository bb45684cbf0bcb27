"""The stack as a user meets it: up, up again, crashes, a taken port, Ctrl-C, down."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.listing import FILES, Held, ListingContract
from tests.support.shop import no_job_left, wait_for_checkpoints
from tests.support.stacks import kill, with_free_ports
from tests.support.wait import wait_for
from tillstream import catalog
from tillstream import conf as settings
from tillstream.clients.storage import Disk, S3Folder
from tillstream.cluster import preflight, starting
from tillstream.cluster.local import LocalCluster
from tillstream.cluster.protocol import JobError, NotReady
from tillstream.local import ports, processes, table_server
from tillstream.local.services import aws
from tillstream.local.stack import Stack

COUNTS = Path(__file__).parent / "jobs" / "counts.py"


def submit(jobs: LocalCluster, **options) -> str:
    return jobs.submit("counts", job_file=COUNTS, **options)


def test_a_second_up_leaves_everything_running(stack, monkeypatch):
    before = stack.layout.read()["processes"]
    started: list[str] = []
    monkeypatch.setattr(processes, "start", lambda root, name, *_: started.append(name))
    stack.up()
    assert stack.layout.read()["processes"] == before
    assert started == []


def test_every_process_is_healthy_and_its_memory_bounded(stack):
    found = stack.status()
    assert [p.problem for p in found if not p.healthy] == []
    assert max(p.memory_mib for p in found) < 1700


def test_objects_written_with_signatures_come_back(stack):
    client = aws("s3", stack.layout.read()["s3"]["endpoint"])
    client.put_object(Bucket="tillstream", Key="probe/date=2026-11-24/a b.bin", Body=b"x" * 100_000)
    got = client.get_object(Bucket="tillstream", Key="probe/date=2026-11-24/a b.bin")
    assert got["Body"].read() == b"x" * 100_000
    listed = S3Folder(client, "tillstream", "probe").files()
    assert [file.name for file in listed] == ["date=2026-11-24/a b.bin"]


class TestListing(ListingContract):
    """The stand-in itself; tests/clients/test_storage.py says what Amazon does."""

    @pytest.fixture(scope="class")
    def held(self, stack) -> Held:
        folder = S3Folder(aws("s3", stack.layout.read()["s3"]["endpoint"]), "tillstream", "listing")
        disk = Disk(stack.layout.data / "s3" / "tillstream" / "listing")
        for name in FILES:  # as it keeps them itself, in a tenth of the time that puts take
            disk.write(name, b"x")
        assert folder.read(FILES[0]) == b"x"
        return Held(
            folder, lambda name: folder.write(name, b"x"), lambda name: folder.delete([name])
        )


class Counted(NamedTuple):
    """What became of one job after another: their ids, and where the last ones went on from.
    ``lost``: what was to be restored after the cluster went down, and what ran."""

    killed: int
    after_kill: int
    traces: list[str]
    second: str
    savepoint: str
    history: list[dict[str, Any]]
    lost: tuple[list[str], list[str]]


@pytest.fixture(scope="module")
def counted(stack) -> Counted:
    """Two jobs on the same TaskManagers; the second one's TaskManager is killed, then the stack goes down,
    and what is restored of it is stopped with a savepoint and goes on with another parallelism."""
    stack.up(taskmanagers=2)
    jobs = LocalCluster(stack)
    with no_job_left(lambda: jobs.flink):
        first = submit(jobs, parallelism=2)
        wait_for_checkpoints(jobs.flink, first)
        jobs.cancel(first)
        second = submit(jobs, parallelism=2)
        wait_for_checkpoints(jobs.flink, second)
        killed = kill(stack, "taskmanager-1")
        stack.up()
        after_kill = stack.pid("taskmanager-1")
        jobs.wait_running(second)
        wait_for_checkpoints(jobs.flink, second, timeout_s=120)
        traces = jobs.flink.exceptions(second)

        assert stack.down()
        stack.up()
        lost = jobs.lost(), [run.name for run in jobs.runs()]
        third = submit(jobs, parallelism=2, start_from="latest-checkpoint")
        wait_for_checkpoints(jobs.flink, third)
        savepoint = jobs.stop(third).location
        fourth = submit(jobs, parallelism=1, start_from="latest-savepoint")
        wait_for_checkpoints(jobs.flink, fourth)
        return Counted(killed, after_kill, traces, second, savepoint, jobs.submissions.all(), lost)


@pytest.mark.long
def test_thread_mode_works_for_the_second_job_and_after_a_taskmanager_is_killed(counted):
    assert counted.after_kill not in (0, counted.killed)
    assert not any("thread mode" in trace for trace in counted.traces)


@pytest.mark.long
def test_a_job_that_ran_when_the_stack_went_down_waits_to_be_restored(counted):
    lost, running = counted.lost
    assert "counts" in lost
    assert running == []
    assert f"/{counted.second}/chk-" in counted.history[-2]["from"]


@pytest.mark.long
def test_a_job_stopped_with_a_savepoint_goes_on_with_another_parallelism(counted):
    name = counted.savepoint.rpartition("/")[2]
    assert counted.history[-1]["from"].rstrip("/").endswith(name)


def test_a_failing_job_says_why_with_the_line_of_python(stack, jobs, tmp_path, monkeypatch):
    broken = tmp_path / "broken_counts.py"
    broken.write_text(COUNTS.read_text().replace('"fail" in sys.argv', "True"))
    monkeypatch.setattr(
        starting, "SETTLED_S", 60
    )  # a busy machine takes its time to the seventh record
    with pytest.raises(JobError, match="seventh record of a key") as caught:
        jobs.submit("counts", job_file=broken, parallelism=1)
    assert "broken_counts.py:" in str(caught.value)


def test_what_is_missing_is_told_before_submitting(stack, jobs):
    overrides = {
        "s3": {"bucket": "no-bucket"},
        "source": {"kind": "kinesis", "kinesis": {"stream": "no-stream"}},
        "dynamodb": {"tables": {"balances": "no-table"}},
        "kafka": {"topics": {"loyalty_events": "no-topic", "transactions": "no-door"}},
        "job": {"parallelism": 40},
    }
    with pytest.raises(NotReady) as caught:
        jobs.submit("loyalty", overrides=overrides)
    text = str(caught.value)
    for name in ("no-bucket", "no-table", "no-topic", "no-door", "40 slots"):
        assert name in text
    assert "no-stream" not in text
    assert "tillstream up" in text
    with pytest.raises(NotReady, match="no-stream"):
        jobs.submit("intake", overrides=overrides)
    with pytest.raises(NotReady, match="no-job: there are archive"):
        jobs.submit("no-job", overrides=overrides)


def test_what_another_job_lacks_holds_nobody_up(stack, jobs):
    lacking = settings.load(
        "local",
        {
            "dynamodb": {"tables": {"shortages": "no-table"}},
            "kafka": {"topics": {"promotions": "no-topic"}},
        },
    )
    assert preflight.problems(lacking, catalog.job("loyalty"), jobs.flink, jobs.layout, 1) == []
    (problem,) = preflight.problems(lacking, catalog.job("shortage"), jobs.flink, jobs.layout, 1)
    assert "no-table" in problem


def test_an_unreachable_broker_is_one_line(stack, jobs):
    overrides = {"kafka": {"bootstrap": "127.0.0.1:1"}}
    with pytest.raises(NotReady) as caught:
        submit(jobs, overrides=overrides)
    assert caught.value.problems == [
        "Kafka at 127.0.0.1:1 does not answer: `tillstream up` starts it"
    ]


def test_a_process_whose_port_was_taken_meanwhile_moves_to_another(stack):
    taken = stack.layout.read()["ports"]["kinesis"]
    kill(stack, "kinesis")
    # The kernel gives the port back a moment after the process.
    wait_for(lambda: ports.is_free(taken), 60, f"port {taken}")
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", taken))
        stranger.listen()
        stack.up()
    moved = stack.layout.read()
    assert moved["ports"]["kinesis"] != taken
    streams = aws("kinesis", moved["kinesis"]["endpoint"]).list_streams()["StreamNames"]
    assert streams == ["till-transactions"]


@pytest.mark.skipif(table_server.program() is None, reason="moto's tables are in memory")
@pytest.mark.long
def test_data_outlives_down_and_fresh_deletes_it(tmp_path):
    stack = with_free_ports(tmp_path)
    try:
        endpoints = stack.up(taskmanagers=1)
        item = {"customer_id": {"S": "C0000000001"}, "balance": {"N": "7"}}
        aws("dynamodb", endpoints["dynamodb"]["endpoint"]).put_item(
            TableName="loyalty-balances", Item=item
        )
        used = endpoints["ports"]
        assert stack.down() == len(endpoints["processes"])
        assert processes.all_of(stack.layout.root) == {}
        assert all(ports.is_free(port) for port in used.values())

        endpoints = stack.up()
        client = aws("dynamodb", endpoints["dynamodb"]["endpoint"])
        assert client.scan(TableName="loyalty-balances")["Count"] == 1
        endpoints = stack.up(fresh=True)
        client = aws("dynamodb", endpoints["dynamodb"]["endpoint"])
        assert client.scan(TableName="loyalty-balances")["Count"] == 0
    finally:
        stack.down(purge=True)
    assert not stack.layout.root.exists()


def test_an_interrupted_up_leaves_nothing_behind(tmp_path):
    stack = Stack(tmp_path)
    command = [sys.executable, "-m", "tillstream.cli", "up"]
    env = {**os.environ, "TILLSTREAM_HOME": str(tmp_path)}
    # A shell's background job ignores SIGINT, and so would what it starts.
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    up = subprocess.Popen(
        command, env=env, preexec_fn=listen, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    wait_for(lambda: processes.all_of(stack.layout.root), 60, "its first process", every_s=0.1)
    up.send_signal(signal.SIGINT)
    try:
        assert up.wait(timeout=60) == 130
        assert processes.all_of(stack.layout.root) == {}
    finally:
        stack.down()
