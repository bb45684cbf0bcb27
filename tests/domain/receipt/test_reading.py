"""What jobs read of the front door's stream agrees with what it writes."""

from __future__ import annotations

import msgspec
import pytest

from tests.support.sales import T0, canonical, sale
from tillstream.domain.fraud import sale as fraud
from tillstream.domain.loyalty import parts
from tillstream.domain.receipt.canonical import Item, Paid, Receipt
from tillstream.domain.receipt.reading import opened, reader, stock_units
from tillstream.domain.shortage import events
from tillstream.domain.stock import baskets
from tillstream.domain.transaction import InvalidTransaction

VIEWS = [
    (parts.Receipt, parts.Line),
    (events.Receipt, events.Line),
    (baskets.Receipt, baskets.Item),
    (fraud.Receipt, fraud.Line),
]


def fields(struct: type) -> dict[str, tuple]:
    return {one.name: (one.default, one.default_factory) for one in msgspec.structs.fields(struct)}


@pytest.mark.parametrize(("receipt", "line"), VIEWS)
def test_a_view_has_fields_of_the_canonical_form_with_the_same_defaults(receipt, line):
    """A field with its default is left out of the JSON."""
    assert fields(receipt).items() <= fields(Receipt).items()
    assert fields(line).items() <= fields(Item).items()


@pytest.mark.parametrize("view", [receipt for receipt, _ in VIEWS])
@pytest.mark.parametrize(
    "raw", [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"schema":1}', b"[" * 2_000, b"0" * 5_000]
)
def test_anything_else_is_refused(view, raw):
    with pytest.raises(InvalidTransaction) as refused:
        reader(view)(raw)
    assert refused.value.reason == "not_canonical"


def test_a_later_version_is_refused():
    raw = canonical(sale()).replace(b"{", b'{"version":2,', 1)
    with pytest.raises(InvalidTransaction):
        reader(parts.Receipt)(raw)


def test_an_opened_record_is_of_our_own_making():
    found = opened(b"kafka:transactions/0/7|5\n{}")
    assert (found.origin, found.arrived_ms, found.raw, found.typed) == (
        "kafka:transactions/0/7", 5, b"{}", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("thousandths", "unit", "units"),
    [(2000, "each", 2), (-1000, "each", -1), (734, "kg", 734), (500, "each", 0), (-250, "l", -250)],
)
def test_stock_counts_pieces_or_thousandths(thousandths, unit, units):
    assert stock_units(thousandths, unit) == units


def mixed(kind: str = "retail", **changes) -> parts.Receipt:
    way = -1 if kind == "void" else 1
    lines = (
        Item("sale", "05901234123457", way * 5000, way * 5000),
        Item("return", "05901234123457", way * -2000, way * -2000, way * -1000, of="earlier-1"),
        Item("return", "05901234123464", way * -700, way * -700, way * -1000, of="earlier-2"),
        Item("return", "05901234123457", way * -300, way * -300, way * -1000, of="earlier-1"),
    )
    made = Receipt(
        transaction_id="T-1", kind=kind, source="pos/2", store=45, region="gauteng", till="T-7",
        ended_ms=T0, offset_min=120, business_day="2026-11-29", currency="ZAR", total=way * 2000,
        lines=lines, tenders=(Paid("cash", way * 2000),), customer="C0000000001", arrived_ms=6,
        **changes,
    )  # fmt: skip
    return parts.read(msgspec.json.encode(made))


def test_an_exchange_is_a_sale_and_a_refund_for_each_receipt_that_goods_are_of():
    found = list(parts.parts(mixed(points_asked=3)))
    told = [(p.transaction_id, p.kind, p.total_cents, p.refers_to) for p in found]
    assert told == [
        ("T-1", "sale", 5000, None),
        ("T-1#2", "refund", 2300, "earlier-1"),
        ("T-1#3", "refund", 700, "earlier-2"),
    ]
    assert [p.points_to_redeem for p in found] == [3, 0, 0]


def test_a_void_is_one_part_with_what_was_paid():
    (only,) = parts.parts(mixed("void", voids="T-0"))
    assert (only.kind, only.total_cents, only.refers_to) == ("void", 2000, "T-0")


def test_goods_without_a_receipt_name_no_sale():
    item = Item("return", "", -500, -500, -1000)
    receipt = msgspec.structs.replace(mixed(), lines=(parts.Line(item.kind, item.paid),))
    (only,) = parts.parts(receipt)
    assert (only.transaction_id, only.kind, only.refers_to) == ("T-1", "refund", "")


def test_bottles_worth_more_than_the_basket_leave_what_it_earns():
    lines = (parts.Line("sale", 500), parts.Line("bottle_return", -900))
    (only,) = parts.parts(msgspec.structs.replace(mixed(), lines=lines))
    assert (only.kind, only.total_cents) == ("sale", 500)
