"""``tillstream till``: as a process on the real client, and what a person sees and decides."""

from __future__ import annotations

import http.client
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from tests.support import ROOT
from tests.support.imports import imported
from tests.till.fakes import open_spool
from tests.till.kinesis_server import KinesisServer
from tests.till.test_forwarder import eventually
from tillstream.cli import main, tables
from tillstream.sim.senders import read_spool
from tillstream.till import layout
from tillstream.till.progress import Progress

CARD = b'{"card": "4111111111111111"}'


class Store:
    """A folder for the spool, a stream, and the command."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.stream = folder, KinesisServer()
        self.spool = folder / "spool"
        conf = {
            "source": {"kind": "kinesis", "kinesis": {"endpoint": self.stream.url}},
            "till": {"folder": str(self.spool), "backoff_max_ms": 200},
        }
        self.environment = os.environ | {
            "TILLSTREAM_ENV": "prod", "TILLSTREAM_CONF": json.dumps(conf), "PYTHONPATH": str(ROOT),
            "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing",
        }  # fmt: skip
        self.processes: list[subprocess.Popen[str]] = []

    def forward(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tillstream.cli", "till", "forward", *arguments],
            cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **more,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        self.stream.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path)
    yield found
    found.close()


def test_a_store_goes_through_an_outage_a_kill_and_a_stop(store: Store, tmp_path: Path) -> None:
    inbox = tmp_path / "in"
    inbox.mkdir()
    store.stream.away = True
    first = store.forward("--watch", str(inbox), "--listen", "0")
    url = first.stderr.readline().rpartition("http://")[2].strip()
    address, _, path = url.partition("/")
    for n in range(5):
        line = http.client.HTTPConnection(address, timeout=60)
        line.request("POST", f"/{path}", json.dumps({"customer_id": "C1", "n": n}).encode())
        assert line.getresponse().status == 200
        line.close()
    half = inbox / ".file"
    half.write_bytes(b'{"customer_id": "C2"}\n' + CARD)
    half.rename(inbox / "file")
    eventually(lambda: not list(inbox.iterdir()), 60)
    first.kill()
    _, said = first.communicate()
    assert "records wait in the spool" in said
    assert "4111" not in said
    assert not store.stream.taken

    store.stream.away = False
    second = store.forward("--watch", str(inbox))
    eventually(lambda: len(store.stream.taken) == 7, 60)
    assert [json.loads(raw)["n"] for key, raw in store.stream.taken if key == "C1"] == [*range(5)]
    second.send_signal(signal.SIGTERM)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 0
    assert "7 records wait in" in said
    assert "7 records delivered; 0 wait" in said


def test_standard_input_ends_with_all_of_it_safe(store: Store) -> None:
    process = store.forward("-", "--key", "till-7", "--drain", "20s", stdin=subprocess.PIPE)
    out, said = process.communicate("one\ntwo\nthree", timeout=60)
    assert process.returncode == 0, said
    assert out.split()[-1] == "3"
    assert store.stream.taken == [("till-7", raw) for raw in (b"one", b"two", b"three")]


def test_a_second_forwarder_on_a_spool_is_refused(store: Store) -> None:
    with layout.lock(store.spool):
        process = store.forward()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.startswith(f"error: another forwarder (process {os.getpid()}) has the spool in")
    assert len(said.splitlines()) == 1


def test_a_forwarder_to_kinesis_loads_neither_kafka_nor_flink() -> None:
    program = (
        "from tillstream.till import endpoint, files, forwarder, lines, service, targets\n"
        "from tillstream import conf; targets.open_target(conf.load('local', {'source': {'kinesis': "
        "{'endpoint': 'http://127.0.0.1:1'}}})).close()"
    )
    assert not {"confluent_kafka", "pyflink", "pyarrow", "rich"} & imported(program)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The command in this process, on a terminal of 80 columns."""
    own = {"till": {"folder": str(tmp_path), "oldest_minutes": 5, "spool_records": 10}}
    monkeypatch.setenv("TILLSTREAM_CONF", json.dumps(own))
    monkeypatch.setattr(
        tables, "console", lambda stderr=False: Console(width=80, stderr=stderr, highlight=False)
    )

    def invoke(*arguments: str, **more: Any) -> Result:
        return CliRunner().invoke(main, ["till", *arguments], **more)

    return invoke


def test_the_status_of_a_store_where_all_is_well(run, tmp_path: Path) -> None:
    done = run("status")
    assert done.exit_code == 0
    assert "does not run" in done.output
    progress = Progress("kinesis:till-transactions", tmp_path)
    progress.succeeded(7)
    progress.write(now=True)
    open_spool(tmp_path).close()
    with layout.lock(tmp_path):
        done = run("status")
        said = json.loads(run("status", "--json").output)
    assert done.exit_code == 0
    assert "runs, to kinesis:till-transactions" in done.output
    assert (said["running"], said["waiting"], said["refused"], said["problems"]) == (True, 0, 0, [])
    assert said["last_success_ms"] > 1_700_000_000_000


def test_the_status_says_what_a_person_has_to_see_to(run, tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.keep(
        [(f"C{n}", CARD) for n in range(8)], [("0821234567", CARD, "larger than Kinesis takes")]
    )
    spool._db.execute("UPDATE waiting SET accepted_ms = accepted_ms - 3600000")
    Progress("kinesis:t", tmp_path).failed("EndpointConnectionError")
    spool.close()
    done = run("status")
    assert done.exit_code == 1
    text = " ".join(done.output.split())
    assert "1 records are refused: `tillstream till refused list`" in text
    assert "the oldest record waits for 60 minutes" in text
    assert "the spool is 90 % full" in text
    assert all(len(line) <= 80 for line in done.output.splitlines())
    assert len(json.loads(run("status", "--json").output)["problems"]) == 3


def test_what_is_refused_is_listed_exported_and_dropped_on_purpose(run, tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.keep(
        [], [("0821234567", CARD, "larger than Kinesis takes (1 MiB)"), ("C2", b"\xff", "its key")]
    )
    spool.close()
    listed = run("refused", "list")
    assert listed.exit_code == 0
    assert "larger than Kinesis takes (1 MiB)" in listed.output
    for secret in ("0821234567", "4111"):
        assert secret not in listed.output + run("refused", "list", "--json").output
    ids = [json.loads(one)["seq"] for one in run("refused", "list", "--json").output.splitlines()]

    out = tmp_path / "refused.jsonl"
    assert run("refused", "export", "--all", "--out", str(out)).output.startswith("2 exported")
    assert [one[:2] for one in read_spool(out)] == [("0821234567", CARD), ("C2", b"\xff")]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "is there already" in run("refused", "export", "--all", "--out", str(out)).output

    asked = run("refused", "drop", str(ids[0]), input="n\n")
    assert asked.exit_code == 1
    assert run("refused", "drop", str(ids[0]), "--yes").output == "1 dropped\n"
    gone = run("refused", "drop", str(ids[0]), "--yes")
    assert f"not refused: {ids[0]}" in gone.output
    assert run("refused", "drop", "--yes").exit_code == 2
    assert run("refused", "drop", "--all", "--yes").output == "1 dropped\n"
    assert run("status").exit_code == 0


def test_a_spool_that_is_none_is_one_line_for_every_command(run, tmp_path: Path) -> None:
    (tmp_path / layout.NAME).write_bytes(b"garbage" * 1000)
    for asked in (("status",), ("refused", "list"), ("forward", "--until-empty")):
        done = run(*asked)
        assert done.exit_code == 1
        assert "Nothing was changed: move it away" in done.output
        assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "asked", [("--done", "."), ("--until-empty", "-"), ("--until-empty", "--watch", "."), ("x",)]
)
def test_what_makes_no_sense_together_is_a_usage_error(run, asked: tuple[str, ...]) -> None:
    assert run("forward", *asked).exit_code == 2
