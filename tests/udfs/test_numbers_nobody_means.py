"""A number that no till can mean, somewhere in the front door's stream: the job goes on, and what it makes
fits the columns of its tables and histories."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.batched_harness import BatchedHarness
from tests.support.classes import job_classes
from tests.support.sales import T0, canonical, line, sale
from tillstream.conf import load
from tillstream.connectors.gateway import java, ours
from tillstream.domain.envelope import seal
from tillstream.udfs import archive, fraud, inventory, loyalty, shortage
from tillstream.udfs.stage import DEAD_LETTERS

CONF = load("local")
NUMBERS = [2**63, -(2**63), 2**63 - 1, 2**62, -(2**62), 10**30, 2**53, 2**40, 2**31, -1, 0, 1]
SOLD = sale(
    customer_id="C0000000001", points_to_redeem=1, payment_method="card",
    card_token="tok_a1b2c3d4e5f6g7h8", lines=[line("2000000000015", 2, 1_000, "bakery")],
)  # fmt: skip
GOOD = json.loads(canonical(SOLD))
FIELDS = [
    *((name,) for name in ("store", "ended_ms", "arrived_ms", "total", "points_asked", "version")),
    *(("lines", 0, name) for name in ("amount", "paid", "thousandths", "list_price")),
    ("tenders", 0, "amount"),
]


def changed(path: tuple[Any, ...], value: Any, transaction: str) -> bytes:
    document = json.loads(json.dumps(GOOD)) | {"transaction_id": transaction}
    at = document
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return json.dumps(document).encode()


def poisoned() -> Iterator[bytes]:
    for n, path in enumerate(FIELDS):
        for m, value in enumerate(NUMBERS):
            yield changed(path, value, f"bad-{n:03d}-{m:03d}")
    for m, value in enumerate(NUMBERS):
        far = changed(("ended_ms",), value, f"far-{m:03d}")
        yield json.dumps(json.loads(far) | {"arrived_ms": value}).encode()
    yield json.dumps(GOOD | {"lines": GOOD["lines"] * 2_000}).encode()


STAGES = {
    "loyalty": lambda: BatchedHarness(loyalty.ledger(CONF)),
    "archive": lambda: BatchedHarness(archive.archive_once(CONF)),
    "fraud": lambda: BatchedHarness(fraud.at_till(CONF)),
    "shortage": lambda: BatchedHarness(shortage.shelf_watch(CONF), now_ms=T0),
}


def sealed(raw: bytes, n: int) -> bytes:
    return seal(f"kafka:transactions/0/{n}", T0 + 60_000, raw)


def whole_numbers(found: Any) -> Iterator[int]:
    if isinstance(found, bool):
        return
    if isinstance(found, int):
        yield found
    for one in (
        found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    ):
        yield from whole_numbers(one)


def fits(made: list[bytes]) -> bool:
    for value in made:
        document = json.loads(value)
        if any(not -(2**63) <= number < 2**63 for number in whole_numbers(document)):
            return False
        if not -(2**31) <= document.get("store", 0) < 2**31:
            return False
    return True


@pytest.mark.parametrize("job", STAGES)
def test_a_number_nobody_means_is_refused_or_does_no_harm(job):
    harness = STAGES[job]()
    for n, raw in enumerate(poisoned()):
        harness.process(("1", sealed(raw, n)))
    letters = [json.loads(value) for value in harness.side[DEAD_LETTERS]]
    assert {letter["reason"] for letter in letters} <= {"not_canonical", "beyond_horizon"}
    assert letters
    if job != "fraud":  # what goes to its next stage is no JSON
        assert fits(harness.main)


def lines_of(value: bytes) -> list[tuple[str, bytes]]:
    """Rows that StockLines.java makes of it."""
    out = java().java.util.ArrayList()
    row = java().org.apache.flink.types.Row(2)
    row.setField(1, value)
    collector = java().org.apache.flink.api.common.functions.util.ListCollector(out)
    ours().StockLines().flatMap(row, collector)
    return [(found.getField(0), bytes(found.getField(1))) for found in out]


def test_of_stock_too():
    job_classes()
    harness = BatchedHarness(inventory.ledger(CONF))
    for n, raw in enumerate(poisoned()):
        harness.process(*lines_of(sealed(raw, n)))
    letters = [json.loads(value) for value in harness.side[DEAD_LETTERS]]
    assert {letter["reason"] for letter in letters} <= {
        "not_canonical", "fraction_of_a_piece", "out_of_range",
    }  # fmt: skip
    assert fits(harness.main)


def test_a_record_from_the_far_future_closes_no_horizon_for_the_next():
    harness = STAGES["loyalty"]()
    far = json.dumps(GOOD | {"ended_ms": 4_100_000_000_000, "arrived_ms": 4_100_000_000_000,
                             "transaction_id": "far"}).encode()  # fmt: skip
    harness.process(
        ("C0000000001", sealed(far, 1)), ("C0000000001", sealed(json.dumps(GOOD).encode(), 2))
    )
    assert [json.loads(made)["transaction_id"] for made in harness.main] == [
        "far", GOOD["transaction_id"],
    ]  # fmt: skip
    assert harness.side[DEAD_LETTERS] == []
