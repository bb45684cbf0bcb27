"""Senders lose nothing and keep each key's order, whatever the stream refuses."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from click.testing import CliRunner
from confluent_kafka import Consumer

from tillstream import conf as settings
from tillstream.cli import main
from tillstream.clients import delivery, retry
from tillstream.cluster.submissions import Submissions
from tillstream.errors import Unreachable
from tillstream.sim import commands, kinesis_sender, senders
from tillstream.sim.commands import _sender
from tillstream.sim.kinesis_sender import KinesisSender
from tillstream.sim.senders import FileSender, KafkaSender, Spool, read_spool, spool_line
from tillstream.till.spool import Limits
from tillstream.till.spool import Spool as Waiting


class Stream:
    """PutRecords that refuses records at random, reorders a batch, and knows what is in flight."""

    def __init__(self, refuse: float, down: bool = False) -> None:
        self.refuse, self.down = refuse, down
        self.random = Random(1)
        self.lock = threading.Lock()
        self.arrived: dict[str, list[bytes]] = defaultdict(list)
        self.in_flight: set[str] = set()
        self.batches = 0

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
        if self.down:
            raise EndpointConnectionError(endpoint_url="http://nowhere")
        keys = [r["PartitionKey"] for r in Records]
        assert len(Records) <= 500
        assert len(set(keys)) == len(keys)
        with self.lock:
            assert not self.in_flight & set(keys)
            self.in_flight |= set(keys)
            self.batches += 1
        time.sleep(0.001)
        results = []
        with self.lock:
            for record in Records:
                if self.random.random() < self.refuse:
                    code = "ProvisionedThroughputExceededException"
                    results.append({"ErrorCode": code})
                else:
                    self.arrived[record["PartitionKey"]].append(record["Data"])
                    results.append({"ShardId": "s0", "SequenceNumber": "1"})
            self.in_flight -= set(keys)
        return {"FailedRecordCount": sum("ErrorCode" in r for r in results), "Records": results}


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "RETRY_AFTER_S", (0.001, 0.002, 0.004))
    monkeypatch.setattr(kinesis_sender, "DRAIN_S", 0)


def put_all(stream: Stream, spool: Path, count: int = 5000) -> tuple[int, dict[str, list[bytes]]]:
    sender = KinesisSender(settings.load(), spool, client=stream)
    want: dict[str, list[bytes]] = defaultdict(list)
    random = Random(2)
    for n in range(count):
        key, raw = f"C{random.randrange(300)}", str(n).encode()
        want[key].append(raw)
        sender.send(key, raw)
    return sender.close(), want


def test_refused_records_are_put_again_in_their_keys_order(tmp_path: Path) -> None:
    stream = Stream(refuse=0.02)
    spooled, want = put_all(stream, tmp_path / "spool.jsonl")
    assert spooled == 0
    assert stream.arrived == want


def test_what_is_refused_to_the_last_is_kept_with_all_that_follows_of_its_key(
    tmp_path: Path,
) -> None:
    stream, spool = Stream(refuse=0.5), tmp_path / "spool.jsonl"
    spooled, want = put_all(stream, spool)
    kept: dict[str, list[bytes]] = defaultdict(list)
    for key, raw, _ in read_spool(spool):
        kept[key].append(raw)
    assert spooled == sum(map(len, kept.values())) > 0
    for key, records in want.items():
        assert stream.arrived[key] + kept[key] == records


def test_a_stream_that_goes_away_loses_nothing(tmp_path: Path) -> None:
    spooled, want = put_all(Stream(0, down=True), tmp_path / "spool.jsonl", 1000)
    assert spooled == 1000 == sum(map(len, want.values()))


def test_an_outage_that_ends_in_time_leaves_nothing_to_send_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinesis_sender, "DRAIN_S", 20)
    stream = Stream(refuse=0, down=True)
    threading.Timer(0.5, lambda: setattr(stream, "down", False)).start()
    spooled, want = put_all(stream, tmp_path / "spool.jsonl")
    assert spooled == 0
    assert stream.arrived == want
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_waiting_is_sent_by_the_next(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path / "spool.waiting", Limits(10, 1000, 0))
    waiting.keep([("C1", b"kept")])
    waiting.close()
    stream = Stream(refuse=0)
    sender = KinesisSender(settings.load(), tmp_path / "spool.jsonl", client=stream)
    sender.send("C1", b"new")
    deadline = time.monotonic() + 10
    while len(stream.arrived["C1"]) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sender.close() == 0
    assert stream.arrived == {"C1": [b"kept", b"new"]}


def test_a_file_of_records_reads_back(tmp_path: Path) -> None:
    sender = FileSender(tmp_path / "records.jsonl")
    sender.send("C1", b"\xff{}")
    sender.close()
    assert list(read_spool(tmp_path / "records.jsonl")) == [("C1", b"\xff{}", "tills")]


def test_who_sends_where_intake_was_not_submitted_to_read_is_told_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TILLSTREAM_ENV", "local")
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
    monkeypatch.setattr(commands, "KafkaSender", lambda *_: None)
    monkeypatch.setattr(kinesis_sender, "KinesisSender", lambda *_: None)
    (tmp_path / "stack").mkdir()
    noted = {"from": None, "reads": "kafka:till-transactions"}
    Submissions(tmp_path / "stack" / "jobs.jsonl").note("intake", "a" * 32, **noted)
    _sender("kafka", tmp_path, tmp_path, senders.TILLS)
    _sender("kinesis", tmp_path, tmp_path, senders.MOVEMENTS)
    assert capsys.readouterr().err == ""
    _sender("kinesis", tmp_path, tmp_path, senders.TILLS)
    assert "nothing reads kinesis:till-transactions: --to kafka" in capsys.readouterr().err


def test_a_spooled_record_goes_back_to_the_stream_it_was_meant_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
    spool, again = tmp_path / "spool.jsonl", tmp_path / "again"
    Spool(spool).keep("C1", b"a sale")
    Spool(spool, "movements").keep("0001-count", b"a document")
    assert b"stream" not in spool.read_bytes().splitlines()[0]  # as older releases wrote all
    asked = ["sim", "--to", "file", "--truth", str(again), "--from-spool", str(spool)]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 0, done.output
    assert list(read_spool(again / "records.jsonl")) == [("C1", b"a sale", "tills")]
    (document,) = read_spool(again / "movements.jsonl")
    assert document == ("0001-count", b"a document", "movements")


def test_documents_about_stock_are_spooled_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    spooled: list[str] = []

    class Broken:
        def __init__(self, producer: object, topic: str, failed: Any) -> None:
            self.send = failed

        def flush(self, wait_s: float) -> None: ...

    monkeypatch.setattr(senders, "Writer", Broken)
    monkeypatch.setattr(senders, "source_settings", lambda conf: {})
    monkeypatch.setattr(senders, "must_be_there", lambda *_: None)
    monkeypatch.setattr(senders, "open_producer", lambda settings: None)
    monkeypatch.setattr(Spool, "keep", lambda self, key, raw: spooled.append(self.stream))
    for stream in ("tills", "movements"):
        _sender("kafka", Path("out"), Path("spool"), stream).send("key", b"raw")
    assert spooled == ["tills", "movements"]


def test_a_truth_is_begun_only_where_each_of_its_streams_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sender(to: str, out: Path, spool: Path, stream: object = "tills") -> FileSender:
        if stream != "tills":
            raise Unreachable("Kafka is away")
        return FileSender(out)

    monkeypatch.setattr("tillstream.sim.commands._sender", sender)
    asked = ["sim", "--to", "file", "--count", "5", "--movements", "0.1", "--truth"]
    assert CliRunner().invoke(main, [*asked, str(tmp_path)]).exit_code == 1
    assert not (tmp_path / "sent.jsonl").exists()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("kind", ["kafka", "kinesis"])
def test_an_unreachable_stream_is_told_within_ten_seconds_with_the_fix(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = _free_port()
    ends = {
        "kafka": {"bootstrap": f"127.0.0.1:{port}"},
        "kinesis": {"endpoint": f"http://127.0.0.1:{port}"},
    }
    conf = settings.load(overrides={"source": ends})
    asked: list[float] = []

    class Asked(Consumer):
        def list_topics(self, *args: Any, timeout: float) -> Any:
            asked.append(timeout)
            return super().list_topics(*args, timeout=timeout)

    def connect(address: Any, timeout: float) -> socket.socket:
        asked.append(timeout)
        return connected(address, timeout)

    connected = socket.create_connection
    monkeypatch.setattr(delivery, "Consumer", Asked)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1.*tillstream up"):
        (KafkaSender if kind == "kafka" else KinesisSender)(conf, tmp_path / "spool.jsonl")
    assert 0 < sum(asked) < 10


@pytest.mark.parametrize("line", [b"{", b'{"key": "C1"}', b'{"key": "C1", "data": "x"}', b"[]", b"",
                                  b'{"key": "C1", "data": "e30*!!="}', b'{"key": 1, "data": "e30="}',
                                  b'{"key": "C1", "data": "e30=", "stream": "foo"}'])  # fmt: skip
def test_what_is_no_spool_file_is_one_line_with_its_place(tmp_path: Path, line: bytes) -> None:
    spool = tmp_path / "spool.jsonl"
    spool.write_bytes(spool_line("C1", b"a sale", "tills") + line + b"\n")
    asked = ["sim", "--to", "file", "--out", str(tmp_path / "out"), "--from-spool", str(spool)]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 1
    assert f"{spool}:2: no line of a spool file" in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("asked", ["--rate=nan", "--seconds=inf", "--late=nan"])
def test_a_number_that_is_none_is_a_usage_error(tmp_path: Path, asked: str) -> None:
    out = str(tmp_path / "out")
    done = CliRunner().invoke(main, ["sim", "--to", "file", "--out", out, "--count", "3", asked])
    assert done.exit_code == 2
    assert "is no number that can be used" in done.output


def test_each_run_has_a_seed_of_its_own_that_repeats_it(tmp_path: Path) -> None:
    def sent(name: str, *options: str) -> tuple[str, bytes]:
        out = tmp_path / name
        asked = ["sim", "--to", "file", "--out", str(out), "--count", "50", "--start", "2026-11-27"]
        done = CliRunner().invoke(main, [*asked, *options])
        (seed,) = re.findall(r"seed (\d+)", done.output)
        return seed, out.read_bytes()

    seed, first = sent("first")
    time.sleep(0.002)
    assert sent("other")[1] != first
    assert sent("again", "--seed", seed) == (seed, first)
