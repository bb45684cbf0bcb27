"""Where a Kafka source begins, and that it never jumps from a position that the topic has not."""

from __future__ import annotations

from typing import Any

import pytest

from tillstream.connectors.gateway import java
from tillstream.connectors.sources import moved


def kafka() -> Any:
    return java().org.apache.flink.connector.kafka.source


@pytest.mark.parametrize("word", ["earliest", "latest"])
def test_a_fresh_start_is_an_offset_and_a_position_that_is_gone_an_error(classes, word):
    plain = getattr(kafka().enumerator.initializer.OffsetsInitializer, word)()
    start = classes.StartOffsets.of(plain)
    assert str(start.getAutoOffsetResetStrategy()).upper() == "NONE"
    assert str(plain.getAutoOffsetResetStrategy()).upper() != "NONE"


def test_a_start_at_a_time_or_at_offsets_never_jumps_either(classes):
    at = kafka().enumerator.initializer.OffsetsInitializer.timestamp(1_764_000_000_000)
    places = java().java.util.HashMap()
    places.put("0", "7")
    for start in (classes.StartOffsets.of(at), classes.StartOffsets.of("tills", places)):
        assert str(start.getAutoOffsetResetStrategy()).upper() == "NONE"


def source(classes: Any) -> Any:
    return (
        kafka().KafkaSource.builder()
        .setBootstrapServers("h:1")
        .setTopics(topics("tills"))
        .setDeserializer(classes.KafkaEnvelope("customer_id"))
        .build()
    )  # fmt: skip


def topics(name: str) -> Any:
    found = java().java.util.ArrayList()
    found.add(name)
    return found


@pytest.mark.parametrize(
    ("at", "to"),
    [(100, 250), (180, 250), (249, 250), (99, 99), (250, 250), (9_000, 9_000)],
)
def test_only_a_position_whose_loss_was_accepted_is_moved(classes, at, to):
    moves = moved({"tills/3": [100, 250]})
    assert _restored(classes, moves, 3, at) == to
    assert _restored(classes, moves, 2, at) == at


@pytest.mark.parametrize(("at", "to"), [(500, 20), (20, 20), (501, 501), (3, 3)])
def test_of_a_topic_that_was_created_again_only_that_place_is_moved(classes, at, to):
    assert _restored(classes, moved({"tills/3": [500, 20]}), 3, at) == to


def _restored(classes: Any, moves: Any, partition: int, at: int) -> int:
    """Where a split goes on that a savepoint has at ``at``."""
    place = java().org.apache.kafka.common.TopicPartition("tills", partition)
    split = kafka().split.KafkaPartitionSplit(place, at)
    source_of = classes.MovedPositions(source(classes), moves)
    kept = source_of.getSplitSerializer()
    return kept.deserialize(kept.getVersion(), kept.serialize(split)).getStartingOffset()


def test_offsets_without_a_record_come_as_a_hole_once_a_record_was_read(classes):
    jvm = java()
    out = jvm.java.util.ArrayList()
    collector = jvm.org.apache.flink.api.common.functions.util.ListCollector(out)
    envelope = classes.KafkaEnvelope("customer_id").tellHoles()
    for partition, offset in ((3, 42), (1, 7), (3, 43), (3, 45), (3, 49), (1, 8)):
        record = jvm.org.apache.kafka.clients.consumer.ConsumerRecord(
            "tills", partition, offset, None, b"{}"
        )
        envelope.deserialize(record, collector)
    heads = [bytes(row.getField(1)).partition(b"|")[0].decode() for row in out]
    assert heads == [
        "kafka:tills/3/42", "kafka:tills/1/7", "kafka:tills/3/43", "kafka:tills/3/44-44",
        "kafka:tills/3/45", "kafka:tills/3/46-48", "kafka:tills/3/49", "kafka:tills/1/8",
    ]  # fmt: skip
