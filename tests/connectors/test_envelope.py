"""A record of any bytes becomes an envelope: key, origin, time and the bytes as they came."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tillstream.connectors.gateway import java


def wrap(classes, payload: bytes | None) -> tuple[str, bytes]:
    envelope = classes.KinesisEnvelope("customer_id", True)
    row = envelope.deserialize(payload, "any", "49590", 1_700_000_000_123, "tills", "shard-1")
    return row.getField(0), bytes(row.getField(1))


HEAD = b"kinesis:tills/shard-1/49590|1700000000123\n"


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (b'{"customer_id":"C1","n":{"customer_id":"inner"}}', "C1"),
        (b'{"customer_id":"first","customer_id":"last"}', "last"),
        ('{"customer_id":"Zoë 😀"}'.encode(), "Zoë 😀"),
        (rb'{"customer\u005fid":"C\u0031"}', "C1"),
    ],
    ids=["top level only", "last one counts", "any text", "escapes"],
)
def test_the_key_is_the_top_level_field_as_python_reads_it(classes, payload, key):
    assert wrap(classes, payload) == (key, HEAD + payload)
    assert orjson.loads(payload)["customer_id"] == key


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe\x00",
        b'{"customer_id":"C1"',
        b'{"customer_id":7.5}',
        b'{"customer_id":true}',
        b'{"customer_id":"C1","customer_id":null}',
        b'["customer_id","C1"]',
        b"[" * 5000,
        b'{"customer_id":"\xff"}',
    ],
)
def test_a_record_without_a_key_goes_by_a_hash_of_its_bytes(classes, payload):
    key, value = wrap(classes, payload)
    assert key.startswith("~")
    assert 0 <= int(key[1:]) < 4096
    assert value == HEAD + payload
    assert wrap(classes, payload)[0] == key


def test_a_whole_number_is_a_key_as_its_digits(classes):
    assert wrap(classes, b'{"customer_id":7}')[0] == "7"


def test_json_is_keyed_anew_by_another_of_its_fields(classes):
    json = b'{"shelf":"45/2000000000015","area":"gauteng/2000000000015"}'
    row = classes.ByField("area").map(json)
    assert (row.getField(0), bytes(row.getField(1))) == ("gauteng/2000000000015", json)


def test_a_tombstone_counts_as_an_empty_record(classes):
    assert wrap(classes, None) == wrap(classes, b"")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200) | st.text(max_size=60).map(lambda t: ("{" + t + "}").encode()))
def test_no_bytes_are_lost_or_refused(classes, payload):
    assert wrap(classes, payload)[1] == HEAD + payload


def test_a_kafka_record_says_its_topic_partition_and_offset(classes):
    jvm = java()
    record = jvm.org.apache.kafka.clients.consumer.ConsumerRecord("tills", 3, 42, None, b"{}")
    out = jvm.java.util.ArrayList()
    collector = jvm.org.apache.flink.api.common.functions.util.ListCollector(out)
    classes.KafkaEnvelope("customer_id").deserialize(record, collector)
    assert bytes(out.get(0).getField(1)).startswith(b"kafka:tills/3/42|")


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (b'{"store":45,"till":3}', "45:3"),
        (b'{"till":3,"x":[{"store":1}],"store":45}', "45:3"),
        (b'{"store":"45","till":3}', "45:3"),
        (b'{"store":45}', None),
        (b'{"store":45.5,"till":3}', None),
        (b'{"store":45,"till":null}', None),
    ],
)
def test_several_fields_make_one_key_of_texts_and_whole_numbers(classes, payload, key):
    envelope = classes.KinesisEnvelope("store+till", True)
    row = envelope.deserialize(payload, "any", "49590", 1_700_000_000_123, "tills", "shard-1")
    found = row.getField(0)
    assert found == key if key else found.startswith("~")


def test_the_first_line_becomes_the_key_of_the_next_stage(classes):
    row = classes.KeyLine().map("Zoë\nfirst\nsecond".encode())
    assert (row.getField(0), bytes(row.getField(1))) == ("Zoë", b"first\nsecond")
    with pytest.raises(Exception, match="no line with its key"):
        classes.KeyLine().map(b"no newline")
