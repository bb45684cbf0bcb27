"""The reader in the JVM takes exactly the transactions that the contract takes, and loses no line."""

from __future__ import annotations

import json
from contextlib import nullcontext

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import ROOT
from tillstream.connectors.gateway import java
from tillstream.domain.arrival import parse_sale
from tillstream.domain.envelope import Envelope, seal, unseal
from tillstream.domain.stock.ledger import Line
from tillstream.domain.transaction import InvalidTransaction, parse
from tillstream.sim.simulator import Faults, Simulator
from tillstream.udfs.passing.stock import LINE, TRANSACTION, read

EXAMPLES = ROOT / "state_schemas" / "events" / "pos_transaction" / "examples"
ARRIVED = 4_000_000_000_000
AHEAD_MS = 300_000


@pytest.fixture(scope="module")
def lines_of(classes):
    """Rows (key, value) that the reader makes of the bytes of a record."""
    jvm = java()
    reader = classes.StockLines(AHEAD_MS)

    def read(payload: bytes, arrived_ms: int = ARRIVED) -> list[tuple[str, bytes]]:
        out = jvm.java.util.ArrayList()
        collector = jvm.org.apache.flink.api.common.functions.util.ListCollector(out)
        row = jvm.org.apache.flink.types.Row(2)
        row.setField(0, "")
        row.setField(1, seal("kafka:tills/0/1", arrived_ms, payload))
        reader.flatMap(row, collector)
        return [(found.getField(0), bytes(found.getField(1))) for found in out]

    return read


def agrees(lines_of, payload: bytes) -> None:
    try:
        sale = parse(payload)
    except InvalidTransaction:
        ((key, value),) = lines_of(payload)
        assert key.startswith("~")
        assert value == TRANSACTION + seal("kafka:tills/0/1", ARRIVED, payload)
        assert read(value) == unseal(seal("kafka:tills/0/1", ARRIVED, payload))
        return
    sign = -1 if sale.kind == "sale" else 1
    made = lines_of(payload)
    assert {value[:1] for _, value in made} == {LINE}
    assert [read(value) for _, value in made] == [Line(*json.loads(value[1:])) for _, value in made]
    assert [(key, json.loads(value[1:])) for key, value in made] == [
        (
            f"{sale.store}/{line.product}",
            [
                sale.kind,
                f"{sale.transaction_id}/{n}",
                sale.store,
                line.product,
                sign * line.quantity,
                sale.event_time_ms,
                None,
                ARRIVED,
            ],
        )
        for n, line in enumerate(sale.lines, start=1)
    ]


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.rglob("*.json")), ids=lambda p: f"{p.parent.name}/{p.stem}"
)
def test_every_example_is_read_as_the_contract_reads_it(lines_of, path):
    agrees(lines_of, path.read_bytes())


def test_simulated_traffic_with_every_planted_fault_is_read_alike(lines_of):
    for sent in Simulator("normal", 3, count=600, faults=Faults(malformed=0.5, late=0.1)):
        agrees(lines_of, sent.raw)


GOOD = next(iter(Simulator("normal", 5, count=1))).record
odd = st.sampled_from(
    [0, 1, -1, 1.0, 1e3, 2**31, 2**53, 2**64, True, None, "", "x", "sale", "void", "card", "é", [],
     {}, [1], "4111111111111111", "0045-03-20251124-000001", 1_764_000_000_000, "tok_4111" * 4]
)  # fmt: skip
names = st.sampled_from([*GOOD, "refers_to", "customer_id", "card_token", "points_to_redeem", "x"])


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(names, odd), max_size=3), st.lists(names, max_size=2))
def test_changed_and_missing_fields_are_judged_alike(lines_of, changed, missing):
    record = {**GOOD, **dict(changed)}
    for name in missing:
        record.pop(name, None)
    agrees(lines_of, json.dumps(record).encode())


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_changed_lines_and_bytes_are_judged_alike(lines_of, data):
    lines = [dict(line) for line in GOOD["lines"]]
    which = data.draw(st.sampled_from(lines))
    which[data.draw(st.sampled_from([*which, "discount"]))] = data.draw(odd)
    raw = bytearray(json.dumps({**GOOD, "lines": lines}).encode())
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + 1] = data.draw(st.binary(max_size=2))
    agrees(lines_of, bytes(raw))


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbf" + orjson.dumps(GOOD),
        orjson.dumps(GOOD).decode().encode("utf-16-le"),
        orjson.dumps(GOOD).decode().encode("utf-32-be"),
        orjson.dumps(GOOD) + b" \n\t",
        orjson.dumps(GOOD) + b"{}",
        b" " + orjson.dumps(GOOD),
        orjson.dumps(GOOD)[:-1] + b',"store":7,"store":45}',
        orjson.dumps(GOOD)[:-1] + b',"store":"7","store":45}',
        orjson.dumps(GOOD)[:-1] + b',"store":45,"store":"7"}',
        orjson.dumps(GOOD)[:-1] + rb',"st\u006fre":45}',
        orjson.dumps(GOOD)[:-1] + b',"store":-0}',
        orjson.dumps(GOOD)[:-1] + b',"store":045}',
    ],
)
def test_encodings_and_doubled_fields_are_judged_alike(lines_of, raw):
    agrees(lines_of, raw)


@pytest.mark.parametrize("ahead_ms", [-1, 0, AHEAD_MS, AHEAD_MS + 1, 2**40])
def test_a_till_whose_clock_is_ahead_is_refused_alike(lines_of, ahead_ms):
    raw, arrived_ms = orjson.dumps(GOOD), GOOD["event_time_ms"] - ahead_ms
    taken = not lines_of(raw, arrived_ms)[0][0].startswith("~")
    envelope = Envelope("kafka:tills/0/1", arrived_ms, raw)
    refused = nullcontext() if taken else pytest.raises(InvalidTransaction, match="clock_ahead")
    with refused:
        parse_sale(envelope, AHEAD_MS)
    assert taken == (ahead_ms <= AHEAD_MS)
