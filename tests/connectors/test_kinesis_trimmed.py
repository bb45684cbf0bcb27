"""A source that comes too late for a stream stops and says so; one that has missed nothing goes on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import orjson
import pytest
from moto.kinesis import models
from moto.server import DomainDispatcherApplication, create_backend_app
from py4j.protocol import Py4JJavaError
from werkzeug.serving import make_server

from tillstream.connectors.gateway import java
from tillstream.local.kinesis_server import as_kinesis, one_at_a_time

STREAM, SHARD = "tills", "shardId-000000000000"
HOUR_MS = 3_600_000
RETENTION_H = 24


class Tills:
    """The stream, which trims, and the time, which can be set ahead."""

    def __init__(self, classes: Any, client: Any, port: int) -> None:
        self.classes, self.client, self.port = classes, client, port
        self.ahead_s = 0.0
        self.empty_pages = 0
        self.clock = java().org.apache.flink.util.clock.ManualClock(time.time_ns())

    def now_ms(self) -> int:
        return int(self.clock.absoluteTimeMillis())

    def pass_hours(self, hours: float) -> None:
        self.ahead_s += hours * 3600
        unit = java().java.util.concurrent.TimeUnit.MILLISECONDS
        self.clock.advanceTime(int(hours * HOUR_MS), unit)

    def put(self, *records: bytes) -> str:
        """Sequence number of the last. They arrive now."""
        for data in records:
            said = self.client.put_record(StreamName=STREAM, Data=data, PartitionKey="k")
            one = shard_of(STREAM).records[int(said["SequenceNumber"])]
            one.created_at += self.ahead_s
            one.created_at_datetime = one.created_at  # what is answered: seconds since the epoch
        return str(said["SequenceNumber"])

    def source(self, lost_until_ms: int = 0, **accepted: str) -> Any:
        made = self.classes.kinesis.KinesisSource(STREAM, "af-south-1", None)
        made.endpoint(f"http://127.0.0.1:{self.port}").basicCredentials().polls(1, 2, 10_000)
        made.acceptsLossBefore(lost_until_ms)
        for shard, at in accepted.items():
            made.acceptsLossOf(shard, at)
        return made

    def unread(self) -> Any:
        return self.classes.kinesis.Shard.unread(STREAM, SHARD, java().java.util.ArrayList())

    def reader(self, shard: Any, lost_until_ms: int = 0, **accepted: str) -> Reader:
        return Reader(self, shard, self.source(lost_until_ms, **accepted))


class Reader:
    """The source's polling of one shard from a state on, as a restarted job has it."""

    def __init__(self, tills: Tills, shard: Any, source: Any) -> None:
        self.shard, self.arrived_ms = shard, 0
        self.progress = getattr(tills.classes.kinesis, "ShardPolling$Progress")()
        self.polling = source.polling(tills.clock, self.progress)
        changes = java().org.apache.flink.connector.base.source.reader.splitreader
        ours = java().java.util.ArrayList()
        ours.add(shard)
        self.polling.handleSplitsChanges(changes.SplitsAddition(ours))

    def read(self, pages: int = 3) -> list[bytes]:
        found = []
        for _ in range(pages):
            page = self.polling.fetch()
            while page.nextSplit() is not None:
                while (record := page.nextRecordFromSplit()) is not None:
                    found.append(bytes(record.data().asByteArray()))
                    self.arrived_ms = record.approximateArrivalTimestamp().toEpochMilli()
                    self.shard = self.shard.after(record.sequenceNumber(), self.arrived_ms)
        return found

    def state(self) -> Any:
        """What a checkpoint has."""
        return self.progress.readTo(self.shard, self.arrived_ms)

    def stop(self) -> Any:
        self.polling.close()
        return self.state()


def shard_of(stream: str) -> Any:
    (backend,) = (one for one in models.kinesis_backends["123456789012"].values() if one.streams)
    return backend.streams[stream].shards[SHARD]


@pytest.fixture
def tills(classes: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tills]:
    for of, name in (
        (models.KinesisBackend, "get_records"), (models.Stream, "split_shard"),
        (models.Stream, "merge_shards"), (models.Stream, "get_shard_for_key"),
    ):  # fmt: skip
        monkeypatch.setattr(of, name, getattr(of, name))
    made: list[Tills] = []
    as_kinesis(lambda: time.time() + made[0].ahead_s)
    monkeypatch.setattr(models.KinesisBackend, "get_records", with_empty_pages(made))
    app = one_at_a_time(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    client = boto3.client(
        "kinesis", endpoint_url=f"http://127.0.0.1:{server.port}", region_name="af-south-1",
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip
    made.append(Tills(classes, client, server.port))
    client.create_stream(StreamName=STREAM, ShardCount=1)
    try:
        yield made[0]
    finally:
        client.delete_stream(StreamName=STREAM)
        server.shutdown()
        thread.join()


def with_empty_pages(made: list[Tills]) -> Callable[..., Any]:
    get_records = models.KinesisBackend.get_records

    def asked(backend: Any, stream_arn: Any, iterator: str, limit: Any) -> Any:
        if made[0].empty_pages:
            made[0].empty_pages -= 1
            return iterator, [], RETENTION_H * HOUR_MS
        return get_records(backend, stream_arn, iterator, limit)

    return asked


LOST = "no longer holds what follows"


def test_a_job_that_was_down_for_longer_than_the_stream_keeps_stops_and_says_what_is_lost(tills):
    at = tills.put(b"1", b"2")
    reader = tills.reader(tills.unread())
    assert reader.read() == [b"1", b"2"]
    state, down_ms = reader.stop(), tills.now_ms()
    tills.put(b"lost")
    tills.pass_hours(25)
    tills.put(b"3")
    with pytest.raises(Py4JJavaError, match=LOST) as caught:
        tills.reader(state).read()
    said = str(caught.value)
    assert f'{{"tills/{SHARD}": [{at}, {at}]}}' in said
    since, until = (
        java().java.time.Instant.ofEpochMilli(ms).toString()[:13]
        for ms in (down_ms, tills.now_ms() - RETENTION_H * HOUR_MS)
    )
    assert f"from {since}" in said
    assert f"to {until}" in said


def stopped_and_missed(tills: Any, reader: Any, lost: bytes, kept: bytes) -> Any:
    """The state that the reader leaves; ``lost`` comes and is trimmed meanwhile, ``kept`` is not."""
    state = reader.stop()
    tills.put(lost)
    tills.pass_hours(25)
    tills.put(kept)
    return state


def test_what_was_accepted_is_that_position_alone(tills):
    at = tills.put(b"1")
    reader = tills.reader(tills.unread())
    reader.read()
    state = stopped_and_missed(tills, reader, b"lost", b"2")
    with pytest.raises(Py4JJavaError, match=LOST):
        tills.reader(state, **{SHARD: "7"}).read()
    reader = tills.reader(state, **{SHARD: at})
    assert reader.read() == [b"2"]
    state = stopped_and_missed(tills, reader, b"lost too", b"3")
    with pytest.raises(Py4JJavaError, match=LOST):
        tills.reader(state, **{SHARD: at}).read()


def test_what_was_lost_before_it_was_accepted_is_no_later_loss(tills):
    reader = tills.reader(tills.unread())
    assert reader.read() == []
    state = stopped_and_missed(tills, reader, b"lost", b"1")
    accepted_ms = tills.now_ms()
    reader = tills.reader(state, accepted_ms)
    assert reader.read() == [b"1"]
    state = stopped_and_missed(tills, reader, b"lost too", b"2")
    with pytest.raises(Py4JJavaError, match=LOST):
        tills.reader(state, accepted_ms).read()


def test_a_job_that_was_down_while_all_was_kept_goes_on(tills):
    tills.put(b"1")
    reader = tills.reader(tills.unread())
    reader.read()
    tills.pass_hours(2)  # it has seen the end of the shard since
    reader.read()
    state = reader.stop()
    tills.pass_hours(23)
    tills.put(b"2")
    assert tills.reader(state).read() == [b"2"]  # though the record of its position is gone


def test_a_shard_to_which_one_record_comes_in_a_week_has_lost_nothing(tills):
    tills.put(b"1")
    reader = tills.reader(tills.unread())
    found = reader.read()
    for _ in range(8):
        tills.pass_hours(23)
        found += reader.read(1)
    state = reader.stop()
    tills.put(b"2")
    reader = tills.reader(state)
    assert [*found, *reader.read()] == [b"1", b"2"]


def test_a_job_whose_last_record_is_kept_still_has_lost_nothing_however_old_its_state(tills):
    tills.put(b"1", b"2")
    reader = tills.reader(tills.unread())
    assert reader.read(1) == [b"1", b"2"]
    old = reader.stop()
    tills.client.increase_stream_retention_period(StreamName=STREAM, RetentionPeriodHours=48)
    tills.pass_hours(40)
    tills.put(b"3")
    tills.client.decrease_stream_retention_period(StreamName=STREAM, RetentionPeriodHours=41)
    tills.empty_pages = 2
    assert tills.reader(old).read(5) == [b"3"]


def raised(tills: Tills, hours: int) -> None:
    """What the stream keeps, as whoever sees the alarm does it; what is trimmed by then stays so."""
    tills.reader(tills.unread()).stop()
    shard = shard_of(STREAM)
    for number, record in list(shard.records.items()):
        if record.created_at < time.time() + tills.ahead_s - RETENTION_H * 3600:
            del shard.records[number]
    tills.client.increase_stream_retention_period(StreamName=STREAM, RetentionPeriodHours=hours)


def test_what_was_trimmed_before_the_stream_was_made_to_keep_more_is_missed_all_the_same(tills):
    tills.put(b"1")
    reader = tills.reader(tills.unread())
    reader.read()
    state = stopped_and_missed(tills, reader, b"lost", b"2")
    raised(tills, 7 * 24)
    with pytest.raises(Py4JJavaError, match=f"{LOST}.*to a day ago"):
        tills.reader(state).read()


def test_of_a_quiet_shard_nothing_is_missed_though_its_last_record_is_gone_and_more_is_kept(tills):
    tills.put(b"1")
    reader = tills.reader(tills.unread())
    found = reader.read()
    for _ in range(4):
        tills.pass_hours(23)
        found += reader.read(1)
    state = reader.stop()
    tills.pass_hours(25)
    tills.put(b"2")
    raised(tills, 48)
    assert [*found, *tills.reader(state).read()] == [b"1", b"2"]


def test_a_reader_that_falls_behind_what_the_stream_keeps_stops(tills):
    tills.put(b"1", b"2")
    reader = tills.reader(tills.unread().readTo(tills.now_ms() - 1_000))
    assert reader.read(1) == [b"1", b"2"]
    tills.put(b"lost", b"lost")
    tills.pass_hours(12)
    tills.put(b"3", b"4", b"5")
    tills.pass_hours(13)  # it was held up for so long
    with pytest.raises(Py4JJavaError, match=LOST):
        reader.read(1)


def test_a_reader_that_lags_and_still_finds_the_next_record_reads_on(tills):
    tills.put(b"1", b"2")
    reader = tills.reader(tills.unread())
    tills.pass_hours(12)
    tills.put(b"3", b"4", b"5")
    assert reader.read(1) == [b"1", b"2"]
    tills.pass_hours(11)
    assert reader.read(2) == [b"3", b"4", b"5"]


def test_empty_pages_before_the_first_record_are_no_loss_and_no_end(tills):
    tills.put(b"1")
    reader = tills.reader(tills.unread())
    tills.pass_hours(23.9)
    tills.empty_pages = 3
    assert reader.read(5) == [b"1"]
    state = reader.stop()
    tills.put(b"2")
    tills.empty_pages = 3
    assert tills.reader(state).read(5) == [b"2"]
    tills.pass_hours(25)
    tills.empty_pages = 1_000
    with pytest.raises(Py4JJavaError, match=LOST):
        tills.reader(state).read(300)


def test_a_shard_without_a_record_read_may_have_lost_what_came_since_it_was_seen(tills):
    reader = tills.reader(tills.unread())
    assert reader.read() == []
    state = stopped_and_missed(tills, reader, b"lost", b"1")
    with pytest.raises(Py4JJavaError, match=r"\[0, 0\]"):
        tills.reader(state).read()
    assert tills.reader(state, **{SHARD: "0"}).read() == [b"1"]


def test_who_begins_with_the_oldest_record_kept_misses_nothing(tills):
    tills.put(b"0")
    tills.pass_hours(25)
    tills.put(b"1")
    assert tills.reader(tills.unread()).read() == [b"1"]


def old(tills: Tills, at: str) -> Any:
    """A state of an earlier release, without a time."""
    return tills.unread().after(at)


def test_a_state_without_a_time_stops_only_where_the_stream_goes_on_right_where_it_is_cut(tills):
    at = tills.put(b"1")
    tills.put(b"2")
    assert tills.reader(old(tills, at)).read() == [b"2"]
    tills.pass_hours(1)
    tills.put(b"3")
    tills.pass_hours(23.95)
    tills.put(b"4")
    with pytest.raises(Py4JJavaError, match="what arrived to"):
        tills.reader(old(tills, at)).read()
    tills.pass_hours(1)
    assert tills.reader(old(tills, at)).read() == [b"4"]  # a quiet shard, as far as one can see


def read_to_ms(shard: Any) -> int:
    return int(orjson.loads(shard.toString())["read_to_ms"])


def test_a_shard_that_is_read_on_keeps_its_time_and_one_that_is_behind_has_its_last_records(tills):
    tills.put(b"1")
    reader = tills.reader(tills.unread())
    reader.read()
    assert read_to_ms(reader.state()) == tills.now_ms()
    first = tills.put(b"2")
    tills.pass_hours(1)
    tills.put(b"3")
    reader.polling.fetch()  # polled, and not handed on
    behind = reader.state().after(first)
    arrived_ms = tills.now_ms() - HOUR_MS // 2
    assert read_to_ms(reader.progress.readTo(behind, arrived_ms)) == arrived_ms
    assert read_to_ms(reader.progress.readTo(behind, 77)) == read_to_ms(behind)  # never back
