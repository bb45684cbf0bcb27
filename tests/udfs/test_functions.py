"""The jobs' functions in the harness: what comes out, what is kept, what goes to the dead letters."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest

from tests.support.batched_harness import BatchedHarness
from tests.support.sales import T0, encoded, parsed, sale
from tillstream.domain.content import of_sale
from tillstream.domain.dead_letter import id_of
from tillstream.domain.envelope import seal
from tillstream.domain.loyalty.ledger import LoyaltyRules
from tillstream.state_schemas.keyed import loyalty_account
from tillstream.udfs.archive import ArchiveOnce
from tillstream.udfs.engine import NotThreadMode
from tillstream.udfs.loyalty import LoyaltyLedger
from tillstream.udfs.stage import StageSettings

CUSTOMER = "C0000000001"
LOYALTY, ARCHIVE = StageSettings("loyalty"), StageSettings("archive")


def record(name: str = "0045-03-20251124-000001", **changes) -> bytes:
    return encoded(sale(name, **{"pieces": 2, "cents": 10_000} | changes))


def sealed(raw: bytes, offset: int = 7, arrived_ms: int = T0) -> bytes:
    return seal(f"kafka:till-transactions/0/{offset}", arrived_ms, raw)


@pytest.fixture
def loyalty() -> BatchedHarness:
    return BatchedHarness(LoyaltyLedger(LOYALTY, LoyaltyRules()))


@pytest.fixture
def archive() -> BatchedHarness:
    return BatchedHarness(ArchiveOnce(ARCHIVE))


def test_a_sale_becomes_one_ledger_entry_and_an_account(loyalty):
    (entry,) = map(json.loads, loyalty.process((CUSTOMER, sealed(record()))))
    assert (entry["customer_id"], entry["delta"], entry["balance"]) == (CUSTOMER, 10, 10)
    assert loyalty_account.decode(loyalty.state[CUSTOMER]).balance == 10


def test_a_redemption_asks_for_a_notice_on_the_side_unless_switched_off(loyalty):
    quiet = BatchedHarness(LoyaltyLedger(LOYALTY, LoyaltyRules(), notify=False))
    for harness in (loyalty, quiet):
        harness.process((CUSTOMER, sealed(record())))
        assert harness.side["notices"] == []
        harness.process((CUSTOMER, sealed(record("0045-03-20251124-000002", points_to_redeem=4))))
    (told,) = map(json.loads, loyalty.side["notices"])
    assert told["notice_id"] == f"points_redeemed:customer:{CUSTOMER}:0045-03-20251124-000002"
    assert quiet.side["notices"] == []


def test_an_anonymous_sale_leaves_no_entry_and_no_state(loyalty):
    assert loyalty.process(("~17", sealed(record(customer_id=None)))) == []
    assert loyalty.state == {}


def test_a_duplicate_leaves_no_trace(loyalty):
    loyalty.process((CUSTOMER, sealed(record())))
    before = loyalty.state[CUSTOMER]
    assert loyalty.process((CUSTOMER, sealed(record(), offset=8))) == []
    assert loyalty.state[CUSTOMER] == before


@pytest.mark.parametrize(
    ("raw", "reason"),
    [(b"", "not_json"), (b"\xff\xfe", "not_utf8"), (record(total_cents=1), "total_mismatch")],
)
@pytest.mark.parametrize("job", ["loyalty", "archive"])
def test_what_cannot_be_used_is_a_dead_letter_with_its_bytes_and_origin(job, raw, reason, request):
    harness = request.getfixturevalue(job)
    assert harness.process(("~1", sealed(raw))) == []
    (letter,) = map(json.loads, harness.side["dead-letters"])
    assert letter["reason"] == reason
    assert letter["origin"] == "kafka:till-transactions/0/7"
    assert letter["dead_letter_id"] == id_of(letter["origin"], raw)
    assert base64.b64decode(letter["raw_b64"]) == raw
    assert letter["job"] == job
    assert harness.state == {}


def test_a_till_from_the_future_is_a_dead_letter_of_the_rule(loyalty):
    loyalty.process((CUSTOMER, sealed(record(), arrived_ms=T0 - 3 * 86_400_000)))
    (letter,) = map(json.loads, loyalty.side["dead-letters"])
    assert (letter["stage"], letter["reason"]) == ("validate", "clock_ahead")


def test_the_archive_keeps_a_transaction_once_with_where_it_came_from(archive):
    (row,) = map(json.loads, archive.process(("0045-03-20251124-000001", sealed(record()))))
    assert row["origin"] == "kafka:till-transactions/0/7"
    assert row["arrived_ms"] == T0
    assert row["lines"] == json.loads(record())["lines"]
    assert archive.process(("0045-03-20251124-000001", sealed(record(), offset=8))) == []


def test_what_the_archive_reads_and_does_not_keep_is_noted(archive):
    key = "0045-03-20251124-000001"
    archive.process((key, sealed(record())), (key, sealed(record(), offset=8)))
    hole = seal("kafka:till-transactions/0/9-11", T0, b"")
    assert archive.process(("~1", hole)) == []
    assert [json.loads(one) for one in archive.side["skipped"]] == [
        {"arrived_ms": T0, "origin": "kafka:till-transactions/0/8", "why": "repeated"},
        {"arrived_ms": T0, "origin": "kafka:till-transactions/0/9-11", "why": "no record"},
    ]
    assert archive.side["dead-letters"] == []


def reversed_fields(raw: bytes) -> bytes:
    document = dict(reversed(json.loads(raw).items())) | {"points_to_redeem": 0}
    return json.dumps(document, indent=1).encode()


def test_two_sales_under_one_id_are_told_and_the_same_one_written_otherwise_is_not(archive):
    name = "00591-006-0018"
    first, second = record(name, till=4), record(name, till=5, cents=245_000)
    for offset, raw in enumerate((first, reversed_fields(first), second, second, first), start=7):
        archive.process((name, sealed(raw, offset)))
    assert len(archive.main) == 1
    letters = list(map(json.loads, archive.side["dead-letters"]))
    assert [one["reason"] for one in letters] == ["id_conflict"] * 2
    assert {base64.b64decode(one["raw_b64"]) for one in letters} == {second}
    assert [one["origin"][-1] for one in letters] == ["9", "0"]


@pytest.mark.parametrize(
    "changes",
    [
        {"store": 46}, {"till": 4}, {"customer_id": None}, {"event_time_ms": T0 + 1},
        {"payment_method": "eft"}, {"currency": "NAD"}, {"region": "gauteng"}, {"category": "dairy"},
        {"cents": 20_000}, {"points_to_redeem": 1}, {"pieces": 4}, {"product": "6001234567891"},
    ],
)  # fmt: skip
def test_whatever_of_a_sale_differs_makes_it_another(archive, changes):
    name = "0045-03-20251124-000001"
    archive.process((name, sealed(record())), (name, sealed(record(**changes))))
    (letter,) = map(json.loads, archive.side["dead-letters"])
    assert letter["reason"] == "id_conflict"


def test_a_mark_of_the_release_before_takes_whatever_comes_for_a_repeat(archive):
    name = "0045-03-20251124-000001"
    archive.state[name] = bytes([1]) + msgspec.msgpack.encode([])
    assert archive.process((name, sealed(record())), (name, sealed(record(till=5)))) == []
    assert archive.side["dead-letters"] == []


def test_a_fingerprint_is_kept_in_state_so_it_never_changes():
    assert of_sale(parsed(sale())).hex() == "b656e97d21198286"
    assert of_sale(parsed(sale(customer_id=None, points_to_redeem=0))).hex() == "9e242b5788f3bc49"


def test_process_mode_is_refused_by_name():
    with pytest.raises(NotThreadMode, match="require_thread_mode"):
        LoyaltyLedger(LOYALTY, LoyaltyRules()).open(object())


def test_one_batch_gives_what_one_call_a_record_gives(loyalty):
    other = "C0000000002"
    records = [
        (CUSTOMER, sealed(record("sale-0001"))),
        (other, sealed(record("sale-0002", customer_id=other))),
        (CUSTOMER, sealed(record("sale-0001"))),
        ("~12", sealed(b"{not json")),
        (CUSTOMER, sealed(record("sale-0003", points_to_redeem=4))),
        (CUSTOMER, sealed(record("void-0001", kind="void", refers_to="sale-0003"))),
        (other, sealed(record("sale-0005", customer_id=other, points_to_redeem=500))),
    ]
    single = BatchedHarness(LoyaltyLedger(LOYALTY, LoyaltyRules()))
    for one in records:
        single.process(one)
    loyalty.process(*records)
    assert loyalty.state == single.state
    assert loyalty.main == single.main
    assert loyalty.side["notices"] == single.side["notices"]
