"""What the fraud rules see of a receipt: who paid how much and how, and what is in the basket."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.support.fraud_shop import HOUR, MIDNIGHT, OWN, Shop, sale
from tests.support.sales import canonical, checked
from tests.support.sales import refund as v1_refund
from tests.support.sales import sale as v1_sale
from tests.support.sales import void as v1_void
from tillstream.domain.envelope import Envelope
from tillstream.domain.fraud import sale as rules
from tillstream.domain.fraud.decision import Label, parse_label
from tillstream.domain.fraud.sale import Sale, made_of, terminal, till_number
from tillstream.domain.receipt.canonical import Item, Paid, Receipt
from tillstream.domain.transaction import InvalidTransaction

AT = MIDNIGHT + 18 * HOUR


def read(raw: bytes) -> Sale:
    return rules.read(Envelope("kafka:transactions/0/1", 2**41, raw))


def receipt(lines: list[Item], tenders: tuple[Paid, ...] = (), **changes: Any) -> Receipt:
    """Of what the customer pays for these lines."""
    made: dict[str, Any] = {
        "transaction_id": "R:2026/11.29-7",
        "source": "pos/2",
        "store": 23,
        "region": "western-cape",
        "till": "T-7",
        "ended_ms": AT,
        "offset_min": 120,
        "business_day": "2025-11-08",
        "currency": "ZAR",
        "total": sum(line.paid for line in lines),
        "lines": tuple(lines),
        "tenders": tenders,
        "customer": "loyal@7".replace("@", ":"),
        "arrived_ms": AT + 50,
    }
    return Receipt(**made | changes)


def seen(*given: Any, **changes: Any) -> Sale:
    """By way of its bytes, as in the job."""
    return read(msgspec.json.encode(receipt(*given, **changes)))


def item(cents: int, kind: str = "sale", pieces: float = 1, **more: Any) -> Item:
    more = {"category": "groceries", "product": "sku-1"} | more
    return Item(kind, more.pop("product"), cents, cents, int(pieces * 1000), **more)


def test_a_sale_of_v1_is_what_it_was():
    found = read(canonical(v1_sale("sale-0001", AT, 4_000, card_token=OWN, payment_method="card")))
    assert (found.kind, found.total_cents, found.payment_method) == ("sale", 4_000, "card")
    assert (found.store, found.till, found.customer_id) == (45, "3", "C0000000001")
    assert (found.card_token, found.event_time_ms, found.arrived_ms) == (OWN, AT, AT)
    nobody = read(canonical(v1_sale(customer_id=None)))
    assert (nobody.customer_id, nobody.card_token, nobody.payment_method) == (None, None, "cash")


def test_refunds_and_voids_of_v1_are_what_they_were():
    for make, kind in ((v1_refund, "refund"), (v1_void, "void")):
        for cents in (4_000, 0):
            document = make("back-0001", "sale-0001", cents=cents)
            found = made_of(checked(document))
            assert (found.kind, found.total_cents) == (kind, cents)
    assert made_of(checked(v1_sale(cents=0))).kind == "sale"


@pytest.mark.parametrize(
    ("lines", "kind", "cents"),
    [
        ([item(5_000), item(-2_000, "return", -1)], "sale", 3_000),
        ([item(2_000), item(-5_000, "return", -1)], "refund", 3_000),
        ([item(2_000), item(-2_000, "return", -1)], "sale", 0),
        ([item(-2_000, "return", -1)], "refund", 2_000),
        ([item(-300, "bottle_return", -6)], "refund", 300),
        ([item(-500, "agency", -1)], "refund", 500),
        ([item(5_000, "gift_card")], "sale", 5_000),
        ([item(0, "coupon", -1)], "refund", 0),
        ([], "refund", 0),
    ],
)
def test_who_pays_is_judged_and_who_is_given_money_is_not(lines, kind, cents):
    found = seen(lines)
    assert (found.kind, found.total_cents) == (kind, cents)
    decision = Shop().job.sale(found, found.arrived_ms)
    assert (decision is not None) == (kind == "sale")


def test_the_void_of_a_return_is_a_void_although_the_customer_pays():
    assert seen([item(2_000, "return", 1)], kind="void", voids="R-1").kind == "void"


@pytest.mark.parametrize(
    ("tenders", "method", "token"),
    [
        ((), "", None),
        ((Paid("cash", 500), Paid("voucher", 900), Paid("change", -20)), "voucher", None),
        ((Paid("cash", 900), Paid("card", 100, OWN), Paid("card", 50, "tok_b")), "card", OWN),
        ((Paid("social_grant", 100),), "social_grant", None),
    ],
)
def test_how_it_was_paid_is_the_first_card_or_the_largest_tender(tenders, method, token):
    found = seen([item(1_400)], tenders)
    assert (found.payment_method, found.card_token) == (method, token)


def test_a_basket_paid_by_nothing_says_nothing_of_methods():
    shop = Shop()
    for n in range(3):
        decision = shop.takes(seen([item(0)], transaction_id=f"free-{n}", ended_ms=AT + n * HOUR))
        assert "payment.new_method" not in decision.signals
    paid = seen([item(900)], (Paid("points", 900),), ended_ms=AT + 4 * HOUR)
    assert shop.takes(paid).signals["payment.new_method"] == 1


def test_a_new_way_of_paying_is_new_once():
    shop = Shop()
    shop.has_a_customer()
    found = [
        shop.takes(
            seen(
                [item(40_000)], (Paid("social_grant", 40_000),), customer="C0000012345",
                transaction_id=f"grant-{n}", ended_ms=AT + n * HOUR,
            )
        ).signals["payment.new_method"]
        for n in range(2)
    ]  # fmt: skip
    assert found == [1, 0]


# -- baskets ---------------------------------------------------------------------------------------


def signals(lines: list[Item]) -> dict[str, float]:
    """Of a basket of the customer who knows groceries alone."""
    shop = Shop()
    shop.has_a_customer()
    decision = shop.takes(seen(lines, (Paid("card", 1, OWN),), customer="C0000012345"))
    return {name: v for name, v in decision.signals.items() if name.startswith("product.")}


def test_of_an_exchange_what_comes_back_is_not_bought():
    found = signals([item(9_000), item(1_000, category="wine"), item(-9_500, "return", -1)])
    assert found["product.new_share"] == 0.1
    assert signals([item(900), item(-800, "return", -1, category="wine")])["product.new_share"] == 0


def test_a_gift_card_is_one_by_its_kind_or_by_its_category():
    lines = [
        item(50_000, "gift_card", category=""),
        item(50_000, "gift_card", category="vouchers"),
        item(100_000, pieces=2, category="gift-cards"),
        item(5_000),
    ]
    found = signals(lines)
    assert (found["product.gift_pieces"], found["product.gift_cents"]) == (4, 200_000)
    assert found["product.gift_new"] == 1
    assert found["product.new_share"] == pytest.approx(200 / 205)


def test_what_a_till_takes_back_within_the_receipt_is_not_bought():
    lines = [item(100_000, "gift_card", 10), item(-90_000, "gift_card", -9), item(5_000)]
    found = signals(lines)
    assert (found["product.gift_pieces"], found["product.gift_cents"]) == (1, 10_000)
    cashed = signals([item(50_000), item(-20_000, "gift_card", -1)])
    assert (cashed["product.gift_new"], cashed["product.gift_pieces"]) == (0, 0)


def test_a_line_without_a_category_is_neither_new_nor_learnt():
    shop = Shop()
    first = shop.takes(seen([item(1_000, category="")], customer="C0000000009"))
    assert "product.new_share" not in first.signals
    assert shop.job.profiles["C0000000009"].categories == []
    again = seen(
        [item(500, category=""), item(500)], customer="C0000000009", transaction_id="R-2",
        ended_ms=AT + HOUR,
    )  # fmt: skip
    assert shop.takes(again).signals["product.new_share"] == 0.5


def test_a_weighed_product_counts_by_what_was_paid():
    found = signals(
        [item(7_000, pieces=0.532, unit="kg"), item(3_000, category="wine", pieces=0.75)]
    )
    assert found["product.new_share"] == 0.3


def test_a_thousand_lines_of_everything_are_judged():
    kinds = ("sale", "return", "deposit", "bottle_return", "fee", "gift_card", "agency", "coupon")
    lines = [
        item(n * (1 if n % 3 else -1), kinds[n % 8], n * (1 if n % 5 else -1) / 7, product="",
             category="" if n % 4 else f"c-{n}")
        for n in range(1_000)
    ]  # fmt: skip
    lines.append(item(10**6))
    shop = Shop()
    shop.has_a_customer()
    shop.takes(seen(lines, customer="C0000012345"))
    assert len(shop.job.profiles["C0000012345"].categories) == 48


# -- tills -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("till", "number", "name"),
    [
        ("4", 4, "0023-04"), (4, 4, "0023-04"), ("117", 117, "0023-117"), ("04", "04", "0023/04"),
        ("T-7", "T-7", "0023/T-7"), ("0", "0", "0023/0"), ("9" * 64, "9" * 64, "0023/" + "9" * 64),
    ],
)  # fmt: skip
def test_a_till_is_a_number_or_a_name(till, number, name):
    assert till_number(till) == number
    assert terminal(23, till) == name


def label_of(sold: Sale, till: str | int) -> Label:
    document = {
        "transaction_id": sold.transaction_id, "fraud": True, "event_time_ms": sold.event_time_ms,
        "labelled_ms": sold.event_time_ms + HOUR, "store": sold.store, "till": till,
        "customer_id": sold.customer_id, "card_token": sold.card_token,
    }  # fmt: skip
    return parse_label(json.dumps(document).encode())


@pytest.mark.parametrize(("till", "said"), [("T-7", "T-7"), ("4", 4), ("4", "4"), ("04", "04")])
def test_a_label_finds_its_till_however_it_is_called(till, said):
    shop = Shop()
    sold = seen([item(40_000)], till=till)
    assert shop.takes(sold).till == till_number(till)
    shop.job.verdict(label_of(sold, said))
    after = seen([item(40_000)], till=till, transaction_id="R-2", customer="")
    assert shop.takes(after).signals["terminal.frauds_early"] == 1


def test_a_till_of_another_name_has_counters_of_its_own():
    shop = Shop()
    for n, till in enumerate(("4", "04", "T-4")):
        decision = shop.takes(seen([item(900)], till=till, transaction_id=f"R-{n}"))
        assert decision.signals["terminal.n_24h"] == 1


@pytest.mark.parametrize(
    "till", [0, -1, 10**9, "", "T 7", "T-7\n", "~7", "7" * 65, 4.5, None, True]
)
def test_what_is_no_till_is_refused_in_a_label(till):
    with pytest.raises(InvalidTransaction):
        label_of(sale(1, AT, 900), till)


def test_ids_of_any_form_of_contract_2_have_a_label():
    sold = seen([item(900)])
    assert label_of(sold, "4").customer_id == sold.customer_id == "loyal:7"


@pytest.mark.parametrize("field", ["till", "customer"])
def test_an_id_that_would_break_a_line_is_none_of_the_front_door_s(field):
    with pytest.raises(InvalidTransaction, match="not_canonical"):
        seen([item(900)], **{field: "C0000012345\n"})
