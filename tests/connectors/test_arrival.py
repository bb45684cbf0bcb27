"""When the broker took a record, as the source says it: never what the record says of itself."""

from __future__ import annotations

import time

import pytest

from tillstream.connectors.gateway import java

NOW_MS = int(time.time() * 1000)
YEAR_MS = 365 * 86_400_000


@pytest.fixture
def arrived(classes):
    """What a record's envelope says, given its Kafka timestamp, the type of that, and headers."""
    jvm, kafka = java(), java().org.apache.kafka

    def read(at_ms: int, kind: str, **headers: str) -> int:
        found = kafka.common.header.internals.RecordHeaders()
        for name, value in headers.items():
            found.add(f"tillstream.{name.replace('_', '.')}", value.encode())
        record = kafka.clients.consumer.ConsumerRecord(
            "tills", 3, 42, at_ms, getattr(kafka.common.record.TimestampType, kind), -1, -1, None,
            b"{}", found, jvm.java.util.Optional.empty(),
        )  # fmt: skip
        out = jvm.java.util.ArrayList()
        collector = jvm.org.apache.flink.api.common.functions.util.ListCollector(out)
        classes.KafkaEnvelope("customer_id").fromArchive().deserialize(record, collector)
        head = bytes(out.get(0).getField(1)).partition(b"\n")[0]
        return int(head.rpartition(b"|")[2])

    return read


def test_the_broker_s_time_stands(arrived):
    for at_ms in (NOW_MS - YEAR_MS, NOW_MS, NOW_MS + 90_000):
        assert arrived(at_ms, "LOG_APPEND_TIME") == at_ms


def test_a_producer_s_time_is_never_later_than_now(arrived):
    assert arrived(NOW_MS - YEAR_MS, "CREATE_TIME") == NOW_MS - YEAR_MS
    assert NOW_MS <= arrived(NOW_MS + YEAR_MS, "CREATE_TIME") < NOW_MS + YEAR_MS


def test_a_record_out_of_the_archive_arrived_when_it_first_did(arrived):
    first = NOW_MS - YEAR_MS
    for kind in ("CREATE_TIME", "LOG_APPEND_TIME"):
        assert arrived(NOW_MS, kind, arrived_ms=str(first)) == first
    assert arrived(NOW_MS, "CREATE_TIME", arrived_ms=str(NOW_MS + YEAR_MS)) < NOW_MS + YEAR_MS


@pytest.mark.parametrize("said", ["", "soon", "-5", "9" * 30])
def test_a_header_that_is_no_time_says_nothing(arrived, said):
    assert arrived(NOW_MS, "CREATE_TIME", arrived_ms=said) == NOW_MS
