"""A record of any bytes becomes an envelope: key, origin, time and the bytes as they came."""

from __future__ import annotations

import gzip
from collections import Counter
from random import Random

import orjson
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tillstream.connectors.gateway import java
from tillstream.domain.pieces import pieces as pieces_of


def wrapped(classes, payload: bytes | None, key: str = "customer_id") -> list[tuple[str, bytes]]:
    """Rows as a job's function gets them, of one record of Kinesis."""
    out = java().java.util.ArrayList()
    collector = java().org.apache.flink.api.common.functions.util.ListCollector(out)
    origin = "kinesis:tills/shard-1/49590"
    classes.Envelope(key).wrap(payload, origin, 1_700_000_000_123, collector)
    return [(found.getField(0), bytes(found.getField(1))) for found in out]


def wrap(classes, payload: bytes | None, key: str = "customer_id") -> tuple[str, bytes]:
    (found,) = wrapped(classes, payload, key)
    return found


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
    # What may hold several documents is taken apart, which has tests of its own.
    assume(b"\n" not in payload and b"}{" not in payload and b"[" not in payload[:1])
    assert wrap(classes, payload)[1] == HEAD + payload


def from_kafka(classes, envelope, payload: bytes, **headers: bytes | None) -> list[bytes]:
    jvm = java()
    record = jvm.org.apache.kafka.clients.consumer.ConsumerRecord("tills", 3, 42, None, payload)
    for name, value in headers.items():
        record.headers().add(name.replace("_", "."), value)
    out = jvm.java.util.ArrayList()
    collector = jvm.org.apache.flink.api.common.functions.util.ListCollector(out)
    envelope.deserialize(record, collector)
    return [bytes(row.getField(1)) for row in out]


def test_a_kafka_record_says_its_topic_partition_and_offset(classes):
    (value,) = from_kafka(classes, classes.KafkaEnvelope("customer_id"), b"{}")
    assert value.startswith(b"kafka:tills/3/42|")


FOREIGN = [
    None, b"", b"kafka:x/0/1\n", b"kafka:x/0", b"kafka:x/0/1|2", b"kafka:x/zero/one", b"s3:x/0/1",
    b"kafka:x/0/1\nkafka:x/0/2", b"\xff\xfe", b"kafka:" + b"x" * 70_000, b"kafka:x y/0/1",
]  # fmt: skip


@pytest.mark.parametrize("header", FOREIGN)
def test_a_header_that_names_no_place_is_ignored_even_where_the_archive_writes_them(
    classes, header
):
    envelope = classes.KafkaEnvelope("customer_id").fromArchive()
    (value,) = from_kafka(classes, envelope, b"{}", tillstream_origin=header)
    assert value.startswith(b"kafka:tills/3/42|")


def test_only_a_topic_filled_from_the_archive_is_asked_where_its_records_first_came_from(classes):
    first = b"kinesis:till-transactions/shardId-000000000000/4965"
    plain, filled = (classes.KafkaEnvelope("x") for _ in range(2))
    (value,) = from_kafka(classes, plain, b"{}", tillstream_origin=first)
    assert value.startswith(b"kafka:tills/3/42|")
    (value,) = from_kafka(classes, filled.fromArchive(), b"{}", tillstream_origin=first)
    assert value.startswith(first + b"|")


ONE, TWO, THREE = (b'{"customer_id":"C%d","t":"}{ }\\n{ [1]"}' % n for n in (1, 2, 3))
PRETTY = orjson.dumps(
    {"customer_id": "C1", "lines": [{"a": 1}, {"a": 2}]}, option=orjson.OPT_INDENT_2
)


DEEP = b'{"customer_id":"C1","deep":' + b"[" * 1_001 + b"]" * 1_001 + b"}"
NOISE = Random(1).randbytes(1 << 18) + b"\n{}\n" + ONE  # compressed bytes are as good as that
PACKED, BOMB = gzip.compress(ONE), gzip.compress(bytes(9 << 20))


SEVERAL = [
    (ONE + b"\n" + TWO + b"\n" + THREE + b"\n", [ONE, TWO, THREE]),
    (ONE + b"\r\n\r\n" + TWO, [ONE, TWO]),
    (ONE + TWO, [ONE, TWO]),
    (b"[" + ONE + b" , " + TWO + b"]", [ONE, TWO]),
    (b" [" + ONE + b"]\n", [ONE]),
    (b"\xef\xbb\xbf" + ONE, [ONE]),
    (b"\xef\xbb\xbf[" + ONE + b"," + TWO + b"]", [ONE, TWO]),
    (gzip.compress(ONE), [ONE]),
    (gzip.compress(ONE + b"\n" + TWO), [ONE, TWO]),
    (PRETTY, [PRETTY]),
    (PRETTY + b"\n" + PRETTY, [PRETTY, PRETTY]),
    (ONE + b'\n{"customer_id":"C2\n' + THREE, [ONE, b'{"customer_id":"C2', THREE]),
    (b'{"customer_id":\n' + TWO, [b'{"customer_id":', TWO]),
    (b"{}\nPAPER JAM", [b"{}\nPAPER JAM"]),
    (ONE + b"\n" + TWO + b"\nPAPER JAM\n" + THREE, [ONE, TWO, b"PAPER JAM", THREE]),
    (b"[" + ONE + b"," + TWO[:9], [ONE, TWO[:9]]),
    (PRETTY[:-20], [PRETTY[:-20]]),
    (b"[1,2]", [b"[1,2]"]),
    (b"[]", [b"[]"]),
    (b"[ ]\n", [b"[ ]\n"]),
    (b"[]\n[]\n", [b"[]\n[]\n"]),
    (b"", [b""]),
    (b"\n\n", [b"\n\n"]),
    (gzip.compress(b""), [b""]),
    (b"[" * 3000, [b"[" * 3000]),
    (PACKED[:-9], [PACKED[:-9]]),
    (BOMB, [BOMB]),
    (DEEP + b"\n" + ONE, [DEEP, ONE]),
    (b'{"n":1},"deep":\x00[[', [b'{"n":1},"deep":\x00[[']),
    (NOISE, [NOISE]),
    (b"\x1f\x8b" + NOISE, [b"\x1f\x8b" + NOISE]),
    (b'{"customer_id":"\xff\x01' + b" " * 64 + b"\n" + TWO, [b'{"customer_id":"\xff\x01', TWO]),
]


@pytest.mark.parametrize(("record", "pieces"), SEVERAL, ids=range(len(SEVERAL)))
def test_a_record_that_holds_several_is_its_pieces_by_the_stated_rules(classes, record, pieces):
    for found in (
        [value for _, value in wrapped(classes, record)],
        from_kafka(classes, classes.KafkaEnvelope("customer_id"), record),
    ):
        assert [value.partition(b"\n")[2] for value in found] == pieces
    keys = [key for key, _ in wrapped(classes, record)]
    assert keys == [
        orjson.loads(piece)["customer_id"] if piece in (ONE, TWO, THREE, PRETTY) else key
        for key, piece in zip(keys, pieces, strict=True)
    ]


@pytest.mark.parametrize(("record", "pieces"), SEVERAL, ids=range(len(SEVERAL)))
def test_commands_take_a_record_apart_by_the_same_rules(record, pieces):
    assert pieces_of(record) == pieces


def test_a_record_of_very_many_pieces_is_bounded(classes):
    found = wrapped(classes, b"{}" * 12_000)
    assert len(found) == 10_001
    assert found[-1][1].endswith(b"\n" + b"{}" * 2_000)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.sampled_from(
            [b"{", b"}", b"[", b"]", b"\n", b",", b" ", b'"', ONE, b'{"a":', b"\x1f\x8b"]
        ),
        max_size=12,
    )
)
def test_of_any_bytes_no_piece_is_lost(classes, parts):
    record = b"".join(parts)
    left = Counter(record)
    for _, value in wrapped(classes, record):
        left.subtract(value.partition(b"\n")[2])
    assert not left - Counter(b"[], \n\r\t" * 100)


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
    found, _ = wrap(classes, payload, "store+till")
    assert found == key if key else found.startswith("~")


def test_the_first_line_becomes_the_key_of_the_next_stage(classes):
    row = classes.KeyLine().map("Zoë\nfirst\nsecond".encode())
    assert (row.getField(0), bytes(row.getField(1))) == ("Zoë", b"first\nsecond")
    with pytest.raises(Exception, match="no line with its key"):
        classes.KeyLine().map(b"no newline")
