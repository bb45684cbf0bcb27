"""A restore is refused where the streams no longer hold what follows the saved positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tillstream import catalog
from tillstream.cli.times import now_ms
from tillstream.clients import kafka as kafka_client
from tillstream.clients import kinesis
from tillstream.cluster import preflight, restoring
from tillstream.cluster.local import LocalCluster
from tillstream.cluster.manifest import FILE, Manifest, encode
from tillstream.cluster.protocol import NotReady
from tillstream.cluster.restoring import (
    Standing,
    advice,
    kafka_losses,
    losses,
    unread_since_ms,
)
from tillstream.cluster.savepoints import standing
from tillstream.conf import load
from tillstream.errors import Problem
from tillstream.local.stack import Stack

T0 = 1_764_000_000_000
HOUR = 3_600_000
TOPIC = "till-transactions"


def said(begun: dict[str, str], **marks: tuple[int, int]) -> list[str]:
    found = kafka_losses("t", begun, {int(name[1:]): mark for name, mark in marks.items()})
    return [one.said for one in found]


def test_positions_that_the_topic_holds_are_no_loss():
    assert said({"0": "100", "1": "50"}, p0=(100, 100), p1=(0, 60)) == []


def test_what_was_trimmed_is_counted_by_partition():
    assert said({"0": "100", "1": "50"}, p0=(1_400, 2_000), p1=(0, 60)) == [
        "partition 0 of t begins at 1,400, the state goes on at 100: 1,300 records in between are gone"
    ]


def test_a_topic_that_was_created_again_is_told_by_its_end():
    (one,) = said({"0": "100"}, p0=(0, 99))
    assert one.startswith("partition 0 of t ends at 99, before 100")
    assert "created again" in one
    assert "no partition 3" in said({"0": "0", "3": "5"}, p0=(0, 0))[0]


def test_a_partition_that_came_since_begins_at_its_first_record():
    assert said({"0": "1"}, p0=(0, 1), p1=(0, 5)) == []
    assert "begins at 3" in said({"0": "1"}, p0=(0, 1), p1=(3, 5))[0]


def test_a_state_that_says_only_the_end_is_no_place_to_go_on_at():
    assert "no place" in said({"0": "-1"}, p0=(0, 5))[0]
    assert said({"0": "-1"}, p0=(0, 0)) == []
    assert said({"0": "-2"}, p0=(0, 9)) == []


def test_what_the_engine_says_of_a_position_that_is_gone_names_its_remedy():
    trace = (
        "org.apache.kafka.clients.consumer.OffsetOutOfRangeException: Fetch position out of range"
    )
    assert "job restore" in (advice(trace) or "")


# -- on the local cluster ------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalCluster:
    class Rest:
        def jobs(self) -> list[Any]:
            return []

        def overview(self) -> dict[str, int]:
            return {"slots-available": 1, "slots-total": 1}

    class Local(LocalCluster):
        flink = Rest()

    made = Local(Stack(tmp_path / "home"))
    made.layout.root.mkdir(parents=True)
    monkeypatch.setenv("TILLSTREAM_CONF", '{"source": {"kind": "kafka"}}')
    monkeypatch.setattr(preflight, "problems", lambda *_: [])
    monkeypatch.setattr(made, "wait_running", lambda *_: None)
    made.given = []
    monkeypatch.setattr(made, "_client", lambda args, changed: made.given.append(changed) or "id")
    monkeypatch.setattr(kafka_client, "watermarks", lambda *_: {0: (150, 900), 1: (0, 900)})
    return made


def left(tmp_path: Path, **more: Any) -> str:
    folder = tmp_path / "savepoint-1"
    folder.mkdir()
    (folder / "_metadata").write_bytes(b"")
    places = {f"kafka:{TOPIC}": {"0": "100", "1": "20"}}
    one = Manifest("intake", "i", folder.as_uri(), T0, T0, 1, "1", "1", 1, {}, places, **more)
    (folder / FILE).write_bytes(encode(one))
    return str(folder)


def test_a_restore_beyond_retention_is_refused_and_says_how_much_and_what_to_do(cluster, tmp_path):
    with pytest.raises(NotReady, match="partition 0 of till-transactions begins at 150") as caught:
        cluster.submit("intake", start_from=left(tmp_path))
    assert "50 records" in str(caught.value)
    assert "kept nowhere else" in caught.value.notes[0]
    assert cluster.given == []


def test_a_savepoint_from_before_the_front_door_says_how_to_change_over(cluster, tmp_path):
    with pytest.raises(NotReady, match="each job read the tills' stream by itself: start intake"):
        cluster.submit("loyalty", start_from=left(tmp_path))
    assert cluster.given == []
    start = str(tmp_path / "savepoint-1")
    cluster.submit("loyalty", start_from=start, allow_dropped_state=True)
    (changed,) = cluster.given
    assert changed["transactions"] == {"kafka": {"accepted_loss": {}}}


def test_a_state_of_kafka_is_not_restored_to_read_kinesis_and_the_stream_that_is_read_is_noted(
    cluster, tmp_path, monkeypatch
):
    start = left(tmp_path)
    monkeypatch.delenv("TILLSTREAM_CONF")  # as `job restore` without the --conf of the submission
    with pytest.raises(NotReady, match=r"has its place in kafka:till-.*source\.kind"):
        cluster.submit("intake", start_from=start)
    assert cluster.given == []
    by_kafka = {"source": {"kind": "kafka"}}
    cluster.submit("intake", overrides=by_kafka, start_from=start, accept_loss=True)
    assert cluster.submissions.read_by("intake") == f"kafka:{TOPIC}"
    monkeypatch.setattr(restoring, "losses", lambda *_: [])
    cluster.submit("intake", start_from=start, allow_dropped_state=True)
    assert cluster.submissions.read_by("intake") == f"kinesis:{TOPIC}"


def test_an_accepted_loss_is_said_noted_and_moves_those_positions_alone(cluster, tmp_path):
    lines: list[str] = []
    start = left(tmp_path)
    cluster.submit("intake", start_from=start, accept_loss=True, progress=lines.append)
    (changed,) = cluster.given
    assert changed["source"]["kafka"]["accepted_loss"] == {f"{TOPIC}/0": [100, 150]}
    assert any("lost, and accepted" in line for line in lines)
    (noted,) = cluster.submissions.all()
    assert "50 records" in noted["lost"][0]
    with pytest.raises(NotReady):  # accepted for that run, not for ever
        cluster.submit("intake", start_from=start)


def test_positions_that_are_not_to_be_used_are_not_looked_at(cluster, tmp_path):
    cluster.submit("intake", start_from=left(tmp_path, until_ms=T0))
    assert len(cluster.given) == 1


def test_a_checkpoint_has_no_manifest_and_is_read_itself(tmp_path):
    from tests.cluster.test_manifest import split

    (tmp_path / "_metadata").write_bytes(b"x" + split(TOPIC, 0, 7))
    found = standing(str(tmp_path), load("local"))
    assert found.positions == {f"kafka:{TOPIC}": {"0": "7"}}
    assert found.written_ms > T0


def test_only_what_the_job_reads_is_looked_at(monkeypatch):
    conf = load("local", {"source": {"kind": "kafka"}})
    monkeypatch.setattr(kafka_client, "watermarks", lambda *_: {0: (150, 900)})
    found = Standing({"kafka:another": {"0": "1"}, "kafka:stock-movements": {"0": "1"}}, T0)
    assert losses(conf, catalog.job("intake"), found) == []
    assert len(losses(conf, catalog.job("inventory"), found)) == 1
    assert len(losses(conf, None, found)) == 2


# -- Kinesis -------------------------------------------------------------------------------------------


@pytest.fixture
def stream(monkeypatch):
    with mock_aws():
        client = boto3.client(
            "kinesis", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        client.create_stream(StreamName=TOPIC, ShardCount=1)
        monkeypatch.setattr(kinesis, "open_stream", lambda conf: client)
        monkeypatch.setattr(kinesis, "oldest_ms", lambda *_: OLDEST)
        yield client


OLDEST = 1_000_000


def put(client) -> str:
    return client.put_record(StreamName=TOPIC, Data=b"{}", PartitionKey="k")["SequenceNumber"]


SHARD = "shardId-000000000000"


def lost(at: str, written_ms: int, read_to: int | None = None) -> list[str]:
    conf, name = load("local", {"source": {"kind": "kinesis"}}), f"kinesis:{TOPIC}"
    times = {} if read_to is None else {name: {SHARD: read_to}}
    found = Standing({name: {SHARD: at}}, written_ms, times)
    return [one.said for one in losses(conf, catalog.job("intake"), found)]


def test_a_shard_that_keeps_the_last_record_read_keeps_all_that_follows(stream):
    put(stream)
    at = put(stream)
    put(stream)
    assert lost(at, now_ms()) == []


def test_a_shard_that_has_not_the_last_record_read_was_trimmed_or_created_again(stream):
    at = put(stream)
    (one,) = lost(str(int(at) + 7), now_ms())
    assert f"{SHARD} of {TOPIC} no longer holds the record that was read last" in one
    (one,) = lost(str(int(at) + 7), now_ms(), read_to=OLDEST - 5 * HOUR)
    assert "5.0 h are gone" in one


def test_a_record_of_the_same_number_of_a_stream_that_was_created_again_is_another(
    stream, monkeypatch
):
    at, written_ms = put(stream), now_ms() - 10 * HOUR
    monkeypatch.setattr(kinesis, "oldest_ms", lambda *_: now_ms())
    (one,) = lost(at, written_ms)
    assert "created again" in one


def test_a_record_that_is_ahead_by_the_services_clock_is_the_one_that_was_read(stream):
    at = put(stream)
    assert lost(at, now_ms() - 80_000) == []  # what is kept goes back to long before the savepoint


def test_accepting_a_loss_is_for_shards_of_which_nothing_was_read_too():
    conf = load("local", {"source": {"kind": "kinesis"}})
    ((place, (at, until_ms)),) = restoring.accepted_by_time(conf, catalog.job("intake")).items()
    assert (place, at) == (f"{TOPIC}/*", 0)
    assert abs(until_ms - now_ms()) < 10_000
    assert restoring.accepted_by_time(conf, catalog.job("loyalty")) == {}


def test_a_shard_in_which_nothing_came_has_lost_nothing(stream):
    assert lost("4711", T0, read_to=OLDEST + HOUR) == []


def test_what_a_savepoint_has_read_is_known_by_time(stream):
    conf = load("local", {"source": {"kind": "kinesis"}})
    first, second = put(stream), put(stream)
    name = f"kinesis:{TOPIC}"
    later = now_ms() + HOUR
    (found,) = restoring.read_to_ms(conf, {name: {SHARD: first}}, later)[name].values()
    assert found < later - HOUR + 60_000  # when it arrived: another follows
    (found,) = restoring.read_to_ms(conf, {name: {SHARD: second}}, later)[name].values()
    assert found == later - restoring.SLACK_MS
    assert restoring.read_to_ms(conf, {name: {SHARD: "99999999"}}, later) == {}


def test_what_was_read_is_known_by_the_state_whatever_kind_the_settings_say(stream):
    conf = load("local", {"source": {"kind": "kafka"}})
    name = f"kinesis:{TOPIC}"
    assert name in restoring.read_to_ms(conf, {name: {SHARD: put(stream)}}, now_ms())


# -- where the front door begins for a job of before it ------------------------------------------------


def of_kafka(monkeypatch, firsts: dict[int, int], **places: str) -> int:
    monkeypatch.setattr(kafka_client, "watermarks", lambda *_: {0: (50, 900), 1: (0, 20)})
    asked: dict[int, int] = {}

    def first_from(conf, topic, bootstrap, positions):
        asked.update(positions)
        return firsts

    monkeypatch.setattr(kafka_client, "first_from", first_from)
    begun = {name[1:]: at for name, at in places.items()}
    found = Standing({f"kafka:{TOPIC}": begun}, T0)
    since = unread_since_ms(load("local", {"source": {"kind": "kafka"}}), "loyalty", found)
    assert asked == {0: int(begun["0"]), 1: int(begun.get("1", 0))}
    return since


def test_it_begins_at_the_first_record_that_the_job_has_not_read(monkeypatch):
    assert of_kafka(monkeypatch, {0: T0 + 5_000, 1: T0 + 3_000}, p0="100", p1="7") == T0 + 2_000
    assert of_kafka(monkeypatch, {0: T0 + 5_000}, p0="100", p1="20") == T0 + 4_000
    # Of a partition that it had not begun: its first record.
    assert of_kafka(monkeypatch, {1: T0}, p0="900") == T0 - 1_000


def test_of_a_job_that_has_read_all_it_begins_now(monkeypatch):
    assert abs(of_kafka(monkeypatch, {}, p0="900", p1="20") - now_ms()) < 10_000


def test_what_the_stream_no_longer_holds_is_told_and_no_place_is_none(monkeypatch):
    with pytest.raises(Problem, match="20 records in between are gone: what loyalty has not read"):
        of_kafka(monkeypatch, {}, p0="30", p1="20")
    conf = load("local", {"source": {"kind": "kafka"}})
    with pytest.raises(Problem, match=f"loyalty has no position in kafka:{TOPIC}"):
        unread_since_ms(conf, "loyalty", Standing({"kafka:transactions": {"0": "1"}}, T0))


def test_of_kinesis_too(stream):
    conf, name = load("local", {"source": {"kind": "kinesis"}}), f"kinesis:{TOPIC}"
    first, second = put(stream), put(stream)
    found = Standing({name: {SHARD: first}}, now_ms())
    kept = kinesis.first_kept(stream, TOPIC, SHARD, int(second))
    assert unread_since_ms(conf, "loyalty", found) == kept.arrived_ms - 1_000
    found = Standing({name: {SHARD: second}}, now_ms())
    assert unread_since_ms(conf, "loyalty", found) > kept.arrived_ms - 1_000
    with pytest.raises(Problem, match="no longer holds the record that was read last"):
        unread_since_ms(conf, "loyalty", Standing({name: {SHARD: str(int(second) + 7)}}, now_ms()))


def test_a_state_of_intake_that_others_have_forgotten_is_warned_of(cluster, tmp_path):
    lines: list[str] = []
    cluster.submit("intake", start_from=left(tmp_path), accept_loss=True, progress=lines.append)
    assert any("counts twice there" in line for line in lines)


def test_a_job_that_sums_starts_anew_only_on_a_word_where_it_has_summed_of_these_records(
    cluster, tmp_path, monkeypatch
):
    monkeypatch.setattr(kafka_client, "watermarks", lambda *_: {0: (0, 900)})
    folder = tmp_path / "savepoint-7"
    folder.mkdir()
    (folder / "_metadata").write_bytes(b"")
    conf = load("local")
    for stream, is_told in (
        ("of-another-shop", False),
        (conf.of(catalog.find("sales")).source.kafka.topic, True),
    ):
        places = {f"kafka:{stream}": {"0": "100"}}
        one = Manifest("sales", "i", folder.as_uri(), T0, T0, 1, "1", "1", 1, {}, places)
        (folder / FILE).write_bytes(encode(one))
        cluster.submissions.note("sales", "r", ended="FINISHED", savepoint=folder.as_uri())
        if not is_told:
            cluster.submit("sales")
            continue
        with pytest.raises(
            NotReady, match=r"sales has added up before, and started anew .*restore"
        ):
            cluster.submit("sales")
    cluster.submit("sales", start_from="latest")
    cluster.submit("sales", counted_again=True)
    folder.rename(tmp_path / "elsewhere")  # as on a disk that is not mounted
    for start in (None, str(tmp_path / "elsewhere")):
        with pytest.raises(NotReady, match=r"savepoint-7 is no savepoint.*--counted-again"):
            cluster.submit("sales", start_from=start)
    assert len(cluster.given) == 3
