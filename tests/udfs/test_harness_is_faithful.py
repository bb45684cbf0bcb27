"""The harness gives what a real mini cluster gives, in thread mode, for the same records."""

from __future__ import annotations

import json

import pytest
from pyflink.common import Row, Types

from tests.support.batched_harness import BatchedHarness
from tests.support.collected import collected
from tests.support.engine import engine
from tests.udfs.test_functions import ARCHIVE, CUSTOMER, LOYALTY, record, sealed
from tillstream.connectors import batched, sources
from tillstream.domain.loyalty.ledger import LoyaltyRules
from tillstream.udfs.archive import ArchiveOnce
from tillstream.udfs.engine import BYTES
from tillstream.udfs.loyalty import LoyaltyLedger

OTHER = "C0000000002"
RECORDS = [
    (CUSTOMER, sealed(record("sale-0001"), 0)),
    (OTHER, sealed(record("sale-0002", customer_id=OTHER), 1)),
    (CUSTOMER, sealed(record("sale-0001"), 2)),
    ("~12", sealed(b"{not json", 3)),
    (CUSTOMER, sealed(record("sale-0003", points_to_redeem=4), 4)),
    (CUSTOMER, sealed(record("void-0001", kind="void", refers_to="sale-0003"), 5)),
    ("~99", sealed(record("sale-0004", customer_id=None), 6)),
    (OTHER, sealed(record("sale-0005", customer_id=OTHER, points_to_redeem=500), 7)),
]
FUNCTIONS = {
    "loyalty": lambda: LoyaltyLedger(LOYALTY, LoyaltyRules()),
    "archive": lambda: ArchiveOnce(ARCHIVE),
}


def by_harness(function) -> tuple[list[bytes], list[bytes]]:
    harness = BatchedHarness(function)
    harness.process(*RECORDS)
    return harness.main, harness.side["dead-letters"]


def by_engine(function, key_in_python: bool) -> tuple[list[bytes], list[bytes]]:
    env = engine()
    rows = env.from_collection(
        [Row(key, value) for key, value in RECORDS],
        Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES]),
    )
    if key_in_python:
        keys = {value: key for key, value in RECORDS}
        values = rows.map(lambda row: row[1], BYTES)
        keyed = values.key_by(lambda value: keys[value], Types.STRING())
    else:
        keyed = sources.keyed(rows)
    main = batched.process(None, keyed, None, function, state="s", uid="u", name="n")
    # One stream of both, for a job's results can be collected once.
    tagged = main.map(lambda b: b"M" + b, BYTES).union(
        batched.side(main, "dead-letters").map(lambda b: b"D" + b, BYTES)
    )
    out = collected(tagged)
    return [b[1:] for b in out if b[:1] == b"M"], [b[1:] for b in out if b[:1] == b"D"]


def plain(json_bytes: list[bytes]) -> list[str]:
    """Sorted, for the order between keys is the engine's affair, and without the clock."""
    rows = [json.loads(b) for b in json_bytes]
    return sorted(json.dumps(row | {"failed_at_ms": 0}, sort_keys=True) for row in rows)


@pytest.mark.parametrize("job", FUNCTIONS)
@pytest.mark.parametrize(
    "key_in_python", [False, True], ids=["keyed in the JVM", "PyFlink's key_by"]
)
def test_harness_and_engine_agree(job, key_in_python):
    expected = by_harness(FUNCTIONS[job]())
    measured = by_engine(FUNCTIONS[job](), key_in_python)
    assert expected[0]
    assert plain(measured[0]) == plain(expected[0])
    assert plain(measured[1]) == plain(expected[1])
