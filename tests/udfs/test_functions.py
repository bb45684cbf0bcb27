"""The jobs' functions in the harness: what comes out, what is kept, what goes to the dead letters."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest

from tests.support.batched_harness import BatchedHarness
from tests.support.sales import T0, canonical, checked, encoded, sale
from tillstream.domain.content import as_before
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
    return canonical(sale(name, **{"pieces": 2, "cents": 10_000} | changes))


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


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", encoded(sale())])
@pytest.mark.parametrize("job", ["loyalty", "archive"])
def test_what_cannot_be_used_is_a_dead_letter_with_its_bytes_and_origin(job, raw, request):
    harness = request.getfixturevalue(job)
    assert harness.process(("~1", sealed(raw))) == []
    (letter,) = map(json.loads, harness.side["dead-letters"])
    assert letter["reason"] == "not_canonical"
    assert letter["origin"] == "kafka:till-transactions/0/7"
    assert letter["dead_letter_id"] == id_of(letter["origin"], raw)
    assert base64.b64decode(letter["raw_b64"]) == raw
    assert letter["job"] == job
    assert harness.state == {}


def test_the_archive_keeps_a_transaction_once_as_the_front_door_wrote_it(archive):
    name = "0045-03-20251124-000001"
    written = canonical(sale(name), arrived_ms=T0 - 9, origin="kinesis:tills/shard-1/42")
    (row,) = archive.process((name, sealed(written)))
    place = b'{"place":"kafka:till-transactions/0/7","taken_ms":%d,' % T0
    assert row == place + written[1:]
    assert archive.process((name, sealed(written, offset=8))) == []


def test_what_the_archive_reads_and_does_not_keep_is_noted(archive):
    key = "0045-03-20251124-000001"
    written, other = canonical(sale(key)), canonical(sale(key, till=5))
    archive.process((key, sealed(written)), (key, sealed(written, 8)), (key, sealed(other, 9)))
    hole = seal("kafka:till-transactions/0/10-11", T0, b"")
    assert archive.process(("~1", hole)) == []
    assert [json.loads(one) for one in archive.side["skipped"]] == [
        {"arrived_ms": T0, "origin": "kafka:till-transactions/0/8", "why": "repeated"},
        {"arrived_ms": T0, "origin": "kafka:till-transactions/0/9", "why": "repeated"},
        {"arrived_ms": T0, "origin": "kafka:till-transactions/0/10-11", "why": "no record"},
    ]
    assert archive.side["dead-letters"] == []


MARKS = {
    "version 1": bytes([1]) + msgspec.msgpack.encode([]),
    "with a fingerprint": bytes([2]) + msgspec.msgpack.encode([bytes.fromhex("b656e97d21198286")]),
}


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
def test_a_mark_of_an_earlier_release_takes_whatever_comes_for_a_repeat(archive, mark):
    name = "0045-03-20251124-000001"
    archive.state[name] = mark
    assert archive.process((name, sealed(canonical(sale(name))))) == []
    assert [json.loads(one)["why"] for one in archive.side["skipped"]] == ["repeated"]
    assert archive.side["dead-letters"] == []


@pytest.mark.parametrize(
    "damage",
    [
        {"lines": 5}, {"tax": 2**63}, {"store": 2**31}, {"till": 4}, {"version": 2}, {"region": None},
        {"lines": [{"kind": "sale", "product": "sku-1", "amount": 1.5, "paid": 1}]},
    ],
    ids=str,
)  # fmt: skip
def test_what_no_column_could_hold_is_a_dead_letter_and_does_not_stop_the_archive(archive, damage):
    raw = json.dumps(json.loads(canonical(sale())) | damage).encode()
    assert archive.process(("~1", sealed(raw))) == []
    (letter,) = map(json.loads, archive.side["dead-letters"])
    assert (letter["stage"], letter["reason"]) == ("validate", "not_canonical")
    assert letter["origin"] == "kafka:till-transactions/0/7"


def test_of_what_the_front_door_does_not_write_nothing_is_archived(archive):
    """A field that goes by the name of our own column would stop the sink."""
    written = canonical(sale())
    more = b'{ "place": 7, "odd": [0.5],' + written[1:] + b"\n"
    (row,) = archive.process(("k", sealed(more)))
    assert row.endswith(b"," + written[1:])
    assert b"odd" not in row


def test_a_fingerprint_is_kept_in_state_so_it_never_changes():
    for document, known in (
        (sale(), "e8f8bf6f35951549"),
        (sale(customer_id=None), "b074282929d377f1"),
    ):
        assert as_before(checked(document)).hex() == known


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
