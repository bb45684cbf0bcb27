"""Dead letters on the real protocols: written by hand, listed, put back, marked."""

from __future__ import annotations

import json
import time
import uuid

import orjson
import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.sales import sale
from tillstream.clients import aws as clients
from tillstream.clients import kafka
from tillstream.clients.delivery import open_producer
from tillstream.conf import load
from tillstream.dead_letters.commands import dlq

SALE = sale("0045-03-20261124-000123", 1_795_500_000_000, customer_id="C0001234567", pieces=2)
WRONG_TOTAL = SALE | {"transaction_id": "0045-03-20261124-000124", "total_cents": 999}


class Shop:
    """Topics and a stream of this test's own, and three dead letters in them."""

    def __init__(self, monkeypatch, kind):
        tag = uuid.uuid4().hex[:8]
        self.dead, self.topic, self.stream = f"dead-{tag}", f"till-{tag}", f"till-{tag}"
        place = f"{self.topic}/0" if kind == "kafka" else f"{self.stream}/shardId-000000000000"
        self.ids = [f"{kind}:{place}/{n}" for n in range(3)]
        overrides = {
            "source": {
                "kind": kind,
                "kinesis": {"stream": self.stream},
                "kafka": {"topic": self.topic},
            },
            "kafka": {"topics": {"dead_letters": self.dead}},
        }
        monkeypatch.setenv("TILLSTREAM_CONF", json.dumps(overrides))
        self.conf = load()
        self.kafka = {"bootstrap.servers": self.conf.kafka.bootstrap or ""}
        admin = AdminClient({**self.kafka})
        created = admin.create_topics([NewTopic(self.dead, 3, 1), NewTopic(self.topic, 2, 1)])
        for future in created.values():
            future.result(15)
        if kind == "kinesis":
            kinesis = clients.kinesis(self.conf)
            kinesis.create_stream(StreamName=self.stream, ShardCount=1)
            kinesis.get_waiter("stream_exists").wait(StreamName=self.stream)
        self.bury()

    def bury(self):
        """A valid one, one with a wrong total, one that is no JSON; the first by two jobs."""
        producer = open_producer(self.kafka)
        raws = [orjson.dumps(SALE), orjson.dumps(WRONG_TOTAL), b"\xff{"]
        reasons = ["unknown_version", "total_mismatch", "not_utf8"]
        for job in ("loyalty", "archive"):
            for dead_letter_id, raw, reason in zip(self.ids, raws, reasons, strict=True):
                headers = {
                    "__connect.errors.connector.name": job,
                    "__connect.errors.stage": "validate",
                    "__connect.errors.exception.message": "by hand",
                    "tillstream.origin": dead_letter_id,
                    "tillstream.reason": reason,
                    "tillstream.schema.version": "1",
                    "tillstream.failed.at.ms": str(int(time.time() * 1000)),
                }
                producer.produce(self.dead, raw, dead_letter_id, headers=list(headers.items()))
        assert producer.flush(15) == 0

    def run(self, *args):
        return CliRunner().invoke(dlq, args, env={})

    def listed(self, *args):
        result = self.run("list", "--json", "--raw", *args)
        assert result.exit_code == 0, result.output
        return {one["dead_letter_id"]: one for one in map(orjson.loads, result.output.splitlines())}

    def arrived(self):
        """(key, record) of all that is in the source."""
        if self.conf.source.kind == "kinesis":
            kinesis = clients.kinesis(self.conf)
            shard = kinesis.list_shards(StreamName=self.stream)["Shards"][0]["ShardId"]
            at = kinesis.get_shard_iterator(
                StreamName=self.stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
            )
            records = kinesis.get_records(ShardIterator=at["ShardIterator"])["Records"]
            return [(one["PartitionKey"], orjson.loads(one["Data"])) for one in records]
        consumer = Consumer({**self.kafka, "group.id": "test", "auto.offset.reset": "earliest"})
        parts = [TopicPartition(self.topic, n, 0) for n in range(2)]
        consumer.assign(parts)
        there = sum(consumer.get_watermark_offsets(part, timeout=10)[1] for part in parts)
        found = consumer.consume(there, 30) if there else []
        assert len(found) == there
        consumer.close()
        return [(one.key().decode(), orjson.loads(one.value() or b"")) for one in found]


@pytest.mark.parametrize("kind", ["kafka", "kinesis"])
def test_dead_letters_go_back_once_and_are_marked(stack, monkeypatch, tmp_path, kind):
    shop = Shop(monkeypatch, kind)
    valid, wrong, broken = shop.ids
    listed = shop.listed()
    assert set(listed) == set(shop.ids)
    assert listed[valid]["jobs"] == ["archive", "loyalty"]

    first = shop.run("redrive", "--all", "--yes", "--by", "a test")
    assert first.exit_code == 1, first.output
    assert "1 of 1 sent" in first.output
    assert f"stays dead  {wrong}  total_mismatch" in first.output
    assert f"stays dead  {broken}" in first.output

    repaired = tmp_path / "repaired.jsonl"
    line = listed[wrong]
    line["record"]["total_cents"] = 1000
    repaired.write_bytes(orjson.dumps(line))
    second = shop.run("redrive", "--repaired", str(repaired), "--yes", "--by", "a test")
    assert second.exit_code == 0, second.output

    assert shop.arrived() == [
        ("C0001234567", SALE),
        ("C0001234567", WRONG_TOTAL | {"total_cents": 1000}),
    ]
    assert set(shop.listed()) == {broken}
    mark = shop.listed("--all")[valid]["redriven"][0]
    assert mark["by"] == "a test"
    assert mark["to"].startswith(f"{kind}:{shop.topic}/")

    again = shop.run("redrive", valid, "--yes")
    assert again.exit_code == 1
    assert "already_redriven" in again.output
    assert len(shop.arrived()) == 2
    assert shop.run("redrive", valid, "--again", "--yes").exit_code == 0
    assert len(shop.arrived()) == 3


def test_a_wrong_source_is_told_before_anything_is_sent(stack, monkeypatch):
    shop = Shop(monkeypatch, "kafka")
    for source, says in (
        ({"kind": "kafka", "kafka": {"topic": "nowhere"}}, "topic nowhere"),
        ({"kind": "kinesis", "kinesis": {"stream": "nowhere"}}, "stream nowhere"),
    ):
        overrides = {"source": source, "kafka": {"topics": {"dead_letters": shop.dead}}}
        monkeypatch.setenv("TILLSTREAM_CONF", json.dumps(overrides))
        said = f"source.kind={source['kind']}"
        result = shop.run("redrive", shop.ids[0], "--yes", "--conf", said)
        assert result.exit_code == 1
        assert says in result.output
        assert len(result.output.splitlines()) == 1


def test_an_unreachable_broker_is_one_line_within_ten_seconds(monkeypatch):
    assert kafka.CONNECT_S < 10
    monkeypatch.setattr(kafka, "CONNECT_S", 1.0)
    overrides = {"kafka": {"bootstrap": "127.0.0.1:1"}}
    monkeypatch.setenv("TILLSTREAM_CONF", json.dumps(overrides))
    result = CliRunner().invoke(dlq, ["list"])
    assert result.exit_code == 1
    assert result.output.startswith("error: Kafka at 127.0.0.1:1 does not answer")
    assert len(result.output.splitlines()) == 1
