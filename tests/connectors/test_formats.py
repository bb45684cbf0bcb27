"""JSON of a job becomes what Kafka and Parquet hold."""

from __future__ import annotations

import base64

import orjson
import pytest
from py4j.protocol import Py4JJavaError

from tillstream.connectors import gateway

LETTER = {
    "dead_letter_id": "kinesis:tills/shard-1/42",
    "job": "loyalty",
    "stage": "decode",
    "reason": "not_json",
    "message": "unexpected end",
    "raw_b64": base64.b64encode(b"{\xff").decode(),
    "origin": "kinesis:tills/shard-1/42",
    "schema_version": 1,
    "failed_at_ms": 1_700_000_000_000,
}


def test_a_dead_letter_is_its_raw_bytes_with_kafka_connects_headers(classes):
    schema = classes.DeadLetterRecords("dead")
    record = schema.serialize(orjson.dumps(LETTER), java_context(), None)
    headers = {h.key(): bytes(h.value()).decode() for h in record.headers().toArray()}
    assert bytes(record.value()) == b"{\xff"
    assert bytes(record.key()).decode() == LETTER["dead_letter_id"]
    connect = {
        name.removeprefix("__connect.errors."): value
        for name, value in headers.items()
        if name.startswith("__connect.errors.")
    }
    assert connect == {
        "topic": "tills",
        "partition": "shard-1",
        "offset": "42",
        "connector.name": "loyalty",
        "task.id": "0",
        "stage": "decode",
        "class.name": "decode",
        "exception.class.name": "not_json",
        "exception.message": "unexpected end",
    }
    assert headers["tillstream.origin"] == LETTER["origin"]
    assert headers["tillstream.reason"] == "not_json"
    assert headers["tillstream.schema.version"] == "1"
    assert headers["tillstream.failed.at.ms"] == "1700000000000"


def test_a_dead_letter_too_large_for_a_broker_leaves_its_bytes_to_s3(classes):
    large = LETTER | {"raw_b64": base64.b64encode(bytes(1 << 20)).decode()}
    record = classes.DeadLetterRecords("dead").serialize(orjson.dumps(large), java_context(), None)
    assert bytes(record.value()) == b""
    said = record.headers().lastHeader("tillstream.left.out.bytes").value()
    assert bytes(said) == b"1048576"


def java_context():
    sink = gateway.java().org.apache.flink.connector.kafka.sink
    return sink.DefaultKafkaSinkContext(0, 1, gateway.properties({}))


def test_an_event_is_keyed_by_its_field(classes):
    json = b'{"customer_id":"C1","balance":3}'
    record = classes.KeyedJson("events", "customer_id").serialize(json, None, None)
    assert (record.topic(), bytes(record.key()), bytes(record.value())) == ("events", b"C1", json)


def row_of(classes, row_type: str, json: bytes):
    return classes.JsonToRow(classes.ParquetFiles.rowType(row_type)).map(json)


def test_json_fields_become_columns_by_name(classes):
    row = row_of(
        classes,
        "ROW<id STRING NOT NULL, n BIGINT, ok BOOLEAN, gone STRING,"
        " lines ARRAY<ROW<p STRING, q INT>>, body BYTES>",
        b'{"n":7,"unknown":{"x":[1]},"id":"a","ok":true,"body":"/wA=",'
        b'"lines":[{"q":2,"p":"x","more":1},{"p":null}],"gone":null}',
    )
    assert row.toString().startswith("+I(a,7,true,null,")
    assert bytes(row.getBinary(5)) == b"\xff\x00"
    lines = row.getArray(4)
    assert [lines.getRow(i, 2).toString() for i in range(lines.size())] == [
        "+I(x,2)",
        "+I(null,null)",
    ]


def test_a_wrong_type_names_the_field_and_not_its_value(classes):
    with pytest.raises(Py4JJavaError, match="'customer' does not fit") as refused:
        row_of(classes, "ROW<customer STRING>", b'{"customer":[4242]}')
    assert "4242" not in str(refused.value.java_exception.getMessage())


def test_a_column_type_without_a_json_form_is_refused_at_once(classes):
    with pytest.raises(Py4JJavaError, match="no JSON form"):
        row_of(classes, "ROW<m MAP<STRING, INT>>", b"{}")


def test_a_dead_letter_that_is_not_all_readable_keeps_what_is(classes):
    whole = orjson.dumps(LETTER)
    cut = whole[: whole.index(b"raw_b64") + 11]
    record = classes.DeadLetterRecords("dead").serialize(cut, java_context(), None)
    assert bytes(record.key()).decode() == LETTER["dead_letter_id"]
    assert bytes(record.headers().lastHeader("tillstream.reason").value()) == b"not_json"
    assert bytes(record.headers().lastHeader("tillstream.left.out.bytes").value())
