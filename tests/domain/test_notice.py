"""Notices: what is fit to be sent, and when a customer is told about points."""

from __future__ import annotations

import msgspec
import pytest

from tests.support.sales import part, sale
from tillstream.domain.loyalty.ledger import Account, LoyaltyRules, apply
from tillstream.domain.loyalty.notices import redemption_notice
from tillstream.domain.notice import InvalidNotice, notice, parse, without_personal_data

T0 = 1_764_000_000_000
CUSTOMER = "C0000000001"


def encoded(**changes) -> bytes:
    good = notice("sms", f"customer:{CUSTOMER}", "points_redeemed", "0045-03-1", T0, {"points": 5})
    return msgspec.json.encode(msgspec.structs.asdict(good) | changes)


def test_what_a_job_makes_is_read_back_as_it_was():
    assert parse(encoded()).notice_id == f"points_redeemed:customer:{CUSTOMER}:0045-03-1"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not_json"),
        (b"\xff{", "not_json"),
        (b"[]", "not_a_notice"),
        (b"{}", "not_a_notice"),
        (encoded(params={"points": [1]}), "not_a_notice"),
        (encoded(notice_id=""), "bad_id"),
        (encoded(notice_id="x" * 1025), "bad_id"),
        (encoded(kind="letter"), "unknown_kind"),
        (encoded(recipient="27821234567"), "bad_recipient"),
        (encoded(recipient="customer:27821234567"), "bad_recipient"),
        (encoded(recipient="store:someone@example.com"), "bad_recipient"),
        (encoded(params={"to": "+27821234567"}), "personal_data"),
        (encoded(params={"to": "someone@example.com"}), "personal_data"),
        (encoded(params={"card": "4111 1111 1111 1111"}), "personal_data"),
        (encoded(params={"card": 4111111111111111}), "personal_data"),
    ],
)
def test_what_is_no_notice_or_holds_personal_data_is_refused(raw, reason):
    with pytest.raises(InvalidNotice) as refused:
        parse(raw)
    assert refused.value.reason == reason


@pytest.mark.parametrize("customer", ["C0000000001", "loyal:7", "KE/0001", "a1b2-c3d4", "12345678"])
def test_a_customer_may_have_any_id_but_a_telephone_number(customer):
    told = parse(encoded(recipient=f"customer:{customer}"))
    assert told.recipient == f"customer:{customer}"


def test_a_product_without_a_gtin_is_typed_as_one_with():
    assert parse(encoded(params={"product": "sku-4111111111111111"})).params
    with pytest.raises(InvalidNotice, match="card number"):
        parse(encoded(params={"note": "sku-4111111111111111"}))


def entries(points: int, balance: int, total: int = 10_000):
    account = Account(balance=balance, postings={}, pending={}, oldest_ms=T0)
    sold = part(sale(cents=total, customer_id=CUSTOMER, points_to_redeem=points))
    _, made = apply(account, sold, LoyaltyRules(), T0)
    return made


def test_a_customer_is_told_of_points_redeemed():
    (entry,) = entries(points=25, balance=30)
    told = redemption_notice(entry)
    assert told is not None
    assert (told.kind, told.template) == ("sms", "points_redeemed")
    assert told.recipient == f"customer:{CUSTOMER}"
    assert told.params == {"points": 25, "balance": entry.balance}
    assert told.cause == "0045-03-20251124-000001"
    assert parse(msgspec.json.encode(told)) == told


def test_a_customer_is_told_why_points_were_not_redeemed():
    (entry,) = entries(points=25, balance=24)
    told = redemption_notice(entry)
    assert told is not None
    assert told.template == "redemption_refused"
    assert told.params["reason"] == "insufficient_balance"


def test_nobody_is_told_of_a_sale_that_only_earns():
    (entry,) = entries(points=0, balance=24)
    assert redemption_notice(entry) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"recipient": "customer:0821234567", "notice_id": "sms:customer:0821234567:1"},
        {"recipient": "082 123 4567"},
        {"kind": "letter"},
        {"notice_id": ""},
        {"cause": 7},
        {"event_time_ms": "x" * 300},
        {"cause": "082 123 4567"},
        {"notice_id": "sms:082 123 4567"},
        {"kind": "0821234567"},
        {"mobile": "0821234567"},
        {"recipient": "customer:082 123 4567:x"},
        {"recipient": "customer:0821234567", "cause": "sale:0821234567"},
        {"recipient": "Customer:0821234567"},
        {"mobile": 27821234567, "kind": "letter", "params": ["0821234567"]},
    ],
)
def test_whatever_a_notice_is_refused_for_its_dead_letter_has_no_telephone_number(changes):
    raw = encoded(**{"params": {"note": "call 082 123 4567"}} | changes)
    with pytest.raises(InvalidNotice):
        parse(raw)
    letter = without_personal_data(raw)
    assert b"082" not in letter
    assert without_personal_data(letter) == letter


@pytest.mark.parametrize(
    "said", ["082 123 4567", "customer:27821234567", "\uff10\uff18\uff12 123 4567", "a@b.co"]
)
def test_what_cannot_be_read_as_a_notice_is_kept_without_what_is_like_a_number(said):
    for raw in (f'{{"recipient":"{said}"'.encode(), f"[1, {said}]".encode()):
        assert said.encode() not in without_personal_data(raw)


def test_what_is_no_personal_data_is_kept_as_it_was_sent():
    for raw in (encoded(kind="letter"), encoded(recipient="store"), b'{ "a": 1}', b"\xff{"):
        assert without_personal_data(raw) == raw
