"""Who is asked for the points of what comes back: ReceiptOwners.java on a mini cluster."""

from __future__ import annotations

import json
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import DataStream

from tests.support.collected import collected
from tests.support.engine import engine
from tests.support.sales import T0, canonical, refund, sale, void
from tillstream.connectors import batched, sources
from tillstream.connectors.gateway import ours
from tillstream.domain.envelope import seal
from tillstream.domain.loyalty.ledger import LoyaltyRules
from tillstream.udfs.engine import BYTES
from tillstream.udfs.loyalty import LoyaltyLedger
from tillstream.udfs.passing.loyalty import claim
from tillstream.udfs.stage import StageSettings

ROW = Types.ROW_NAMED(["key", "value"], [Types.STRING(), BYTES])
DAY_MS = 86_400_000
ANN, BEN = "C0000000001", "C0000000002"
SOLD, BACK = "0045-03-20251124-000001", "0046-01-20251125-000001"


def claims(*records: dict[str, Any] | bytes) -> list[tuple[str, str, str, str]]:
    """(key, receipt, owner, which takes it back) of each claim that these make."""
    env = engine()
    rows = []
    for n, one in enumerate(records):
        raw = one if isinstance(one, bytes) else canonical(one)
        rows.append(Row("any", seal(f"kafka:transactions/0/{n}", T0, raw)))
    stream = env.from_collection(rows, ROW)
    found = DataStream(ours().ReceiptOwners.claims(stream._j_data_stream, 183 * DAY_MS))

    def as_bytes(row: Row) -> bytes:
        return row[0].encode() + b"\n" + row[1]

    made = []
    for value in collected(found.map(as_bytes, BYTES)):
        key, _, rest = value.partition(b"\n")
        one = claim(rest)
        assert one.transaction.origin.startswith("kafka:transactions/0/")
        made.append(
            (key.decode(), one.of, one.owner, json.loads(one.transaction.raw)["transaction_id"])
        )
    return made


def mixed(*originals: str, customer: str = "") -> bytes:
    """A receipt on which goods of each of these come back."""
    document = json.loads(canonical(refund(BACK, SOLD, customer_id=customer or None)))
    (line,) = document["lines"]
    return json.dumps(document | {"lines": [line | {"of": of} for of in originals]}).encode()


def test_of_a_return_without_a_card_or_with_anothers_the_owner_of_the_sale_is_asked():
    second = "0046-01-20251125-000002"
    sold = sale(SOLD, customer_id=ANN)
    nobody, bens = refund(BACK, SOLD, customer_id=None), refund(second, SOLD, customer_id=BEN)
    assert claims(sold, nobody, bens) == [(ANN, SOLD, ANN, BACK), (ANN, SOLD, ANN, second)]
    assert claims(nobody, bens, sold) == [(ANN, SOLD, ANN, BACK), (ANN, SOLD, ANN, second)]


def test_of_the_owners_own_return_nobody_is_asked_in_any_order():
    sold, back = sale(SOLD, customer_id=ANN), refund(BACK, SOLD, customer_id=ANN)
    assert claims(sold, back) == claims(back, sold) == []


def test_a_void_without_the_card_asks_the_owner_too():
    sold, undone = sale(SOLD, customer_id=ANN), void(BACK, SOLD, customer_id=None)
    assert claims(sold, undone) == [(ANN, SOLD, ANN, BACK)]


def test_of_a_sale_that_was_nobodys_nobody_is_asked():
    assert claims(sale(SOLD, customer_id=None), refund(BACK, SOLD, customer_id=BEN)) == []


def test_goods_of_two_receipts_that_come_back_at_once_are_two_claims():
    other = "0045-03-20251124-000002"
    sales = [sale(SOLD, customer_id=ANN), sale(other, customer_id=BEN)]
    assert claims(*sales, mixed(SOLD, other, SOLD)) == [
        (ANN, SOLD, ANN, BACK),
        (BEN, other, BEN, BACK),
    ]
    assert claims(*sales, mixed(SOLD, other, customer=BEN)) == [(ANN, SOLD, ANN, BACK)]


def test_what_cannot_be_read_is_left_alone():
    sold = sale(SOLD, customer_id=ANN)
    broken = [b"", b"{", b"[]", b"\xff", b'{"transaction_id":7}', b'{"lines":[{"of":1}]}',
              mixed(SOLD)[:-1], b'{"transaction_id":"x","lines":{"of":"y"}}']  # fmt: skip
    assert claims(*broken, sold, *broken) == []


def test_too_many_are_claims_without_an_owner_and_the_rest_are_asked():
    early = [refund(f"0046-01-20251125-{n:06d}", SOLD, customer_id=None) for n in range(17)]
    made = claims(*early, sale(SOLD, customer_id=ANN))
    assert [(of, owner) for _, of, owner, _ in made] == [(SOLD, ""), *[(SOLD, ANN)] * 16]
    assert made[0][0].startswith("~")
    many = mixed(*(f"0045-03-20251124-{n:06d}" for n in range(1, 30)))
    assert [(of, owner) for _, of, owner, _ in claims(sale(SOLD, customer_id=ANN), many)] == [
        (SOLD, ANN),
        ("", ""),
    ]


def test_an_id_with_marks_of_json_comes_through():
    odd = 'a"b\\c\nd'
    sold = json.dumps(json.loads(canonical(sale(SOLD, customer_id=ANN))) | {"transaction_id": odd})
    assert claims(sold.encode(), mixed(odd)) == [(ANN, odd, ANN, BACK)]


def test_in_the_job_the_points_of_goods_that_nobody_known_brings_back_are_gone():
    env = engine()
    sold = sale(SOLD, cents=500_000, customer_id=ANN)
    back = refund(BACK, SOLD, cents=500_000, customer_id=None)
    rows = env.from_collection(
        [
            Row(key, seal(f"kafka:transactions/0/{n}", T0, canonical(one)))
            for n, (key, one) in enumerate([(ANN, sold), ("~7", back)])
        ],
        ROW,
    )
    claimed = DataStream(ours().ReceiptOwners.claims(rows._j_data_stream, 183 * DAY_MS))
    ledger = batched.process(
        None, sources.keyed(rows.union(claimed)), None,
        LoyaltyLedger(StageSettings("loyalty"), LoyaltyRules()),
        state="loyalty-account", uid="loyalty-ledger", name="points ledger by customer",
    )  # fmt: skip
    made = [json.loads(value) for value in collected(ledger)]
    assert sorted((one["entry_id"], one["delta"]) for one in made if one["delta"]) == [
        (SOLD, 500),
        (f"{BACK}:{'settled' if made[0]['entry_id'] != SOLD else 'owner'}", -500),
    ]
    assert made[-1]["balance"] == 0


def test_a_return_that_the_front_door_writes_again_waits_once():
    back = refund(BACK, SOLD, customer_id=None)
    assert claims(*[back] * 20, sale(SOLD, customer_id=ANN)) == [(ANN, SOLD, ANN, BACK)]


def test_a_record_without_an_id_owns_nothing():
    nameless = b'{"transaction_id":"","customer":"X","lines":[]}'
    many = mixed(*(f"0045-03-20251124-{n:06d}" for n in range(2, 30)))
    assert [(of, owner) for _, of, owner, _ in claims(nameless, many)] == [("", "")]
