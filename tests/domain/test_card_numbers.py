"""Card numbers: found and masked in free text, never looked for in a field of a declared form."""

from __future__ import annotations

import importlib
import json
import pkgutil
import tracemalloc
import uuid
from random import Random

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import ROOT
from tillstream import domain
from tillstream.conf import load
from tillstream.domain.card_numbers import contains_card_number, mask_card_numbers, passes_luhn
from tillstream.domain.documents import decode
from tillstream.domain.fraud.decision import parse_label
from tillstream.domain.notice import InvalidNotice, notice
from tillstream.domain.notice import parse as parse_notice
from tillstream.domain.promotions import promotion
from tillstream.domain.stock import movement
from tillstream.domain.stock.actions import Request
from tillstream.domain.transaction import parse
from tillstream.reference import price_list

EVENTS = ROOT / "state_schemas" / "events"
VALID = sorted((EVENTS / "pos_transaction" / "examples" / "valid").iterdir())
T0 = 1_764_000_000_000


def card_number(length: int = 16) -> str:
    """A number that passes the Luhn check, made here so that none stands in the repository."""
    head = "4" + "27" * 9
    head = head[: length - 1]
    return next(head + str(d) for d in range(10) if passes_luhn(head + str(d)))


def example(path: str) -> dict:
    return json.loads((EVENTS / path).read_bytes())


SALE = example("pos_transaction/examples/valid/paid_by_card_with_its_token.json")
REFUND = example("pos_transaction/examples/valid/refund_of_part_of_a_sale.json")
MOVEMENT = example("stock_movement/examples/valid/delivery_of_an_order.json")
PROMOTION = example("promotion/examples/valid/everywhere.json")
LABEL = {"transaction_id": "0023-04-20251124-000001", "fraud": True, "event_time_ms": T0,
         "labelled_ms": T0, "store": 23, "till": 4}  # fmt: skip
REQUEST = {"type": "request", "request_id": "45-1", "ask": "query", "to": 45, "asked_by": 46,
           "product": "2000000000411", "order_id": "", "quantity": 1, "event_time_ms": T0,
           "emergency": False}  # fmt: skip


def kept(document: dict) -> bytes:
    """Its bytes, seen to stay as they are in a dead letter."""
    raw = orjson.dumps(document)
    assert mask_card_numbers(raw) == raw
    return raw


def told(cause: str, **params: str | int) -> bytes:
    return kept(msgspec.to_builtins(notice("alert", "store:45", "low_stock", cause, T0, params)))


def test_every_product_passes_through_every_contract():
    ours = list(price_list(load("local")))
    rng = Random(1)
    others = [
        f"{rng.randrange(10**length):0{length}d}"
        for length in (8, 12, 13, 14)
        for _ in range(2_000)
    ]
    assert (
        sum(len(p) > 12 and passes_luhn(p) for p in (*ours, *others)) > 300
    )  # it would be noticed
    for product in (*ours, *others):
        line = {**SALE["lines"][0], "product": product, "quantity": 1, "unit_price_cents": 1}
        parse(kept({**SALE, "lines": [line], "total_cents": 1}))
        movement.parse(kept({**MOVEMENT, "lines": [{"product": product, "quantity": 1}]}))
        promotion.parse(kept({**PROMOTION, "products": [product, "2000000000411"]}))
        decode(kept({**REQUEST, "product": product}), Request)
        parse_notice(told(f"45-{product}-low-1", product=product, level=3))
        parse_notice(told(f"gauteng/{product}/20251124/1", product=product))


def ids(rng: Random, count: int):
    """Of five forms: UUID, till's number, digits of 13 to 19, letters and digits, groups of four."""
    for _ in range(count):
        yield str(uuid.UUID(int=rng.getrandbits(128), version=4))
        yield f"{rng.randrange(1, 2901):04d}-{rng.randrange(1, 100):02d}-{T0 + rng.getrandbits(34)}"
        yield str(rng.randrange(10**12, 10 ** rng.randrange(13, 20)))
        yield "".join(rng.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=26))
        yield "-".join(f"{rng.randrange(10_000):04d}" for _ in range(4))


def test_a_hundred_thousand_ids_of_five_forms_pass_through_every_contract():
    rng, luhn, before = Random(2), 0, "0023-04-20251124-000001"
    for one in ids(rng, 20_000):
        luhn += contains_card_number(one)
        parse(kept({**REFUND, "transaction_id": one, "refers_to": before}))
        before = one
        movement.parse(kept({**MOVEMENT, "document_id": one}))
        promotion.parse(kept({**PROMOTION, "promotion_id": one}))
        parse_label(kept({**LABEL, "transaction_id": one}))
        decode(kept({**REQUEST, "request_id": one, "order_id": one}), Request)
        parse_notice(told(one, transaction_id=one))
    assert luhn > 1_000  # a search would have found so many


def test_tokens_of_the_declared_form_are_not_searched():
    token = "tok_" + card_number()
    parse(kept({**SALE, "card_token": token}))
    parse_label(kept({**LABEL, "card_token": token}))


@pytest.mark.parametrize("field", ["card_token", "customer_id"])
def test_a_card_number_in_place_of_a_token_or_a_customer_is_refused_and_masked(field):
    pan = card_number()
    raw = orjson.dumps({**SALE, field: pan})
    with pytest.raises(ValueError, match="bad_format"):
        parse(raw)
    assert pan.encode() not in mask_card_numbers(raw)


def test_lists_of_stores_are_no_card_number_and_free_text_is_searched():
    pan = card_number()
    rng = Random(3)
    lists = [" ".join(str(rng.randrange(1000, 2901)) for _ in range(4)) for _ in range(100)]
    stores = next(filter(contains_card_number, lists))
    parse_notice(told("gauteng/2000000000015/20251124/1", stores=stores))
    for params in ({"why": pan}, {"note": pan}, {"card": int(pan)}, {"stores": f"ask {pan}"}):
        raw = msgspec.json.encode(notice("alert", "store:45", "low_stock", "45-1", T0, params))
        with pytest.raises(InvalidNotice, match="card number"):
            parse_notice(raw)


@pytest.mark.parametrize("length", range(13, 20))
def test_card_number_is_masked_but_for_its_last_four_digits(length: int) -> None:
    pan = card_number(length)
    raw = f'{{"note":"paid with {pan}.","card":{pan}}}'.encode()
    masked = mask_card_numbers(raw)
    assert pan.encode() not in masked
    assert masked.count(b"*" * (length - 4) + pan[-4:].encode()) == 2
    assert len(masked) == len(raw)


def test_card_number_in_groups_is_masked() -> None:
    pan = card_number()
    for sign in " -":
        groups = sign.join(pan[i : i + 4] for i in range(0, 16, 4))
        assert mask_card_numbers(groups.encode()).decode() == sign.join(["****"] * 3 + [pan[-4:]])


def grouped(pan: str, *lengths: int, sign: str = " ") -> str:
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    return sign.join(pan[at : at + n] for at, n in zip(starts, lengths, strict=True))


FOURS = grouped(card_number(), 4, 4, 4, 4)


OTHERS = ("card_id", "account_id", "card_key", "monkey", "id", "pan_id")  # of no contract


@pytest.mark.parametrize(
    "text",
    [
        f"till 0023 {FOURS}", f"0023-04 {FOURS}", f"2025 {FOURS}", f"29 11 2025 {FOURS} 12 27",
        f"{FOURS} 123", f"{FOURS} {FOURS}", f"{card_number(15)} {FOURS}",
        grouped(card_number(15), 4, 6, 5), grouped(card_number(14), 4, 6, 4),
        grouped(card_number(19), 4, 4, 4, 4, 3), grouped(card_number(13), 4, 4, 4, 1),
        *(FOURS.replace(" ", sign) for sign in ("-", ".", "/", "  ", "\t", " - ", "\u00a0",
                                                "\\u00a0", "\\u2009", "\\t")),
        *(FOURS.replace(" ", sign) for sign in ("+", "%20", "&nbsp;", "\\/", "\\u0020", "\\u002d", "\\u3000",
                                                "\\u2212", "\\u00ad", "\\ufeff", "    ", " -- ")),
        grouped(card_number(15), 4, 5, 6), grouped(card_number(19), 6, 13), grouped(card_number(13), 4, 4, 5),
        f"card\\u00a0{FOURS}", f"caf\\u00e9{card_number()}", f"\\u2009{card_number()}",
        "\\u0034" + card_number()[1:], "".join(f"\\u003{d}" for d in card_number()),
        *(f'{{"{name}":"{card_number()}"}}' for name in OTHERS),
        f'{{"products":["2000000000411","{card_number()}"]}}', f'{{"order":["{FOURS}"]}}',
        f'{{"store":"{FOURS}"}}', f'{{"customer_id":{{"S":"{card_number()}"}}}}',
        f'{{"transaction_id":{{"S":"{FOURS}"}}}}', f'"order_id" {FOURS}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-32"])
def test_a_card_number_is_found_wherever_it_stands_and_however_it_is_set(text, encoding):
    masked = mask_card_numbers(text.encode(encoding)).decode(encoding)
    assert not contains_card_number(masked)
    assert len(masked) == len(text)
    assert contains_card_number(text)
    assert set(masked) - set(text) == {"*"}


@pytest.mark.parametrize(
    "text",
    [
        '{"scheme":"gtin","code":"%s"}',
        '{"product":%s}', '{"product":" %s"}', '{"product": "%s\\r"}', '{"product":{"S":"%s"}}',
        '{"product":{"N":"%s"}}',
        '{"products":["%s","123",null,"%s"," %s ",%s]}', '{"products":["%s"',
        '{"regional_alert":"gauteng/%s/1"}',
        '{"open_orders":"45-%s-000002:200:1764072000000"}', '{"stock_key":{"S":"45/%s"},"shelf":"45/%s"}',
    ],
)  # fmt: skip
def test_a_product_is_kept_in_a_field_that_is_wrong_otherwise(text):
    gtins = [gtin for n in range(400) if passes_luhn(gtin := f"60091500{n:05d}")]
    assert len(gtins) > 20
    for gtin in gtins:
        raw = text.replace("%s", gtin).encode()
        assert mask_card_numbers(raw) == raw


def test_ids_of_every_record_of_ours_are_typed():
    """A customer's is not: of another form than C and ten digits it is searched."""
    for module in pkgutil.walk_packages(domain.__path__, domain.__name__ + "."):
        importlib.import_module(module.name)
    waiting, names = [msgspec.Struct], set()
    while waiting:
        struct = waiting.pop()
        waiting += struct.__subclasses__()
        if struct.__module__.startswith(domain.__name__):
            names |= {name for name in struct.__struct_fields__ if name.endswith(("_id", "_key"))}
    assert len(names) > 12
    for name in names - {"customer_id", "judge_key"}:
        kept({name: card_number(), "x": {name: {"S": f"45/{card_number()}"}}})


def test_decimals_and_coordinates_are_no_card_numbers():
    rng = Random(7)
    for _ in range(2_000):
        total = sum(rng.randrange(1, 99_999) / 100 for _ in range(9))
        text = (
            f"{total!r}, {rng.uniform(-90, 90):.4f} {rng.uniform(-180, 180):.4f} {rng.random()!r}"
        )
        assert not contains_card_number(text), text


def test_a_name_of_a_typed_field_in_free_text_hides_nothing():
    for text in (
        f'"order_id":"{card_number()}"',
        f'{{"stores":"{FOURS}"}}',
        f'"products":["{card_number(13)}"]',
    ):
        assert contains_card_number(text)


def test_digits_without_end_cost_no_more_than_their_length():
    """A few thousand bytes may unpack to many millions: a list of all their groups had no place in memory."""
    for part in (b"1 ", b"4111 ", b"4", b'"1\\u00a0', b"\\u0034"):
        raw = part * (200_000 // len(part))
        tracemalloc.start()
        masked = mask_card_numbers(raw)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(masked) == len(raw)
        assert most < 10 * len(raw)


@pytest.mark.parametrize("sign", ["\u2009", "\u2013", "\u2011", "\u202f"])
def test_blanks_and_dashes_of_print_are_between_groups_too(sign):
    assert contains_card_number(FOURS.replace(" ", sign))


def test_products_tokens_and_times_are_kept_and_the_same_digits_elsewhere_are_not():
    gtin, long = card_number(13), card_number(14)
    time = next(t for t in range(2_895_500_000_000, 2_895_500_000_100) if passes_luhn(str(t)))
    head = f'{{"product": "{gtin}","product":"{long}","event_time_ms":{time}'
    masked = mask_card_numbers(f'{head},"x":"{gtin}"}}'.encode())
    assert masked == f'{head},"x":"*********{gtin[-4:]}"}}'.encode()


def test_times_since_the_epoch_and_leading_zeros_are_no_card_number():
    for digits in (13, 16, 19):
        first = 17955 * 10 ** (digits - 5)
        time = next(t for t in range(first, first + 100) if passes_luhn(str(t)))
        text = f"0045-03-{time} at {time}"
        assert not contains_card_number(text)
        assert mask_card_numbers(text.encode()) == text.encode()
    assert not contains_card_number("0" + card_number(13))
    assert contains_card_number("0045-03-" + card_number(13))


def test_other_digits_are_kept() -> None:
    raw = card_number(16)[:-1].encode() + b"0" if card_number(16)[-1] != "0" else b"1" * 16
    for kept in (raw, b"1" * 25, b"123456789012", b"2026-11-24 0045-03-20261124-000123"):
        assert mask_card_numbers(kept) == kept
    for path in VALID:
        assert mask_card_numbers(path.read_bytes()) == path.read_bytes()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=100))
def test_masking_keeps_the_length_of_any_bytes(raw: bytes) -> None:
    assert len(mask_card_numbers(raw)) == len(raw)


def test_a_list_of_products_that_never_ends_costs_no_more_than_its_length():
    """It took three times as long for each product more, so twenty of them an hour."""
    raw = b'{"products":[' + b'"12345678"  ' * 2_000 + b'"x"]}'
    assert mask_card_numbers(raw) == raw


def test_products_stay_in_a_list_however_it_is_set():
    raw = b'{"products": [ "6123456700008",\n "6123456700008" , "6123456700008" ]}'
    assert mask_card_numbers(raw) == raw
