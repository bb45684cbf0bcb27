"""E-mail addresses, telephone numbers, and card numbers in digits of any script, where they must not be."""

from __future__ import annotations

import json
import time
import unicodedata
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.test_card_numbers import (
    card_number,
    grouped,
    ids,
)
from tillstream.conf import load
from tillstream.dead_letters.model import _masked as is_seen_as_masked
from tillstream.domain.card_numbers import contains_card_number, mask_card_numbers
from tillstream.domain.notice import InvalidNotice, notice, parse, without_personal_data
from tillstream.domain.personal import digits
from tillstream.domain.personal.personal_data import contains_personal_data, mask_personal_data
from tillstream.reference import price_list

T0 = 1_764_000_000_000
FOURS = grouped(card_number(), 4, 4, 4, 4)
ADDRESSES = (
    "jan.jansen@example.com", "a@b.co", "thandi+till@shop.example.co.za", "jan\\u0040example.com",
    "jan%40example.com", "jan\uff20example.com", "jos\u00e9@example.com", "jos\\u00e9@example.com",
    "jan@m\u00fcller.de", "jan@example\\u002ecom", "jan@shop\\u002eexample.co.za",
)  # fmt: skip
INTERNATIONAL = (
    "+27 82 555 0123", "+27825550123", "+27 (0)82 555-0123", "+1 (415) 555-2671", "+44 20 7946 0958",
    "+27.82.555.0123", "\\u002b27 82 555 0123", "\uff0b27 82 555 0123", "+27\u00a082\u00a0555\u00a00123",
    "+\uff12\uff17 82 555 0123", "+27/82/5550123", "%2B27825550123",
)  # fmt: skip
NATIONAL = (
    "082 555 0123", "082-555-0123", "0825550123", "(082) 555 0123", "0712 345 678", "020 7946 0958",
    "01 23 45 67 89", "(415) 555-2671", "415-555-2671", "8 (912) 345-67-89", "\uff10\uff18\uff12 555 0123",
    "082.555.0123",
)  # fmt: skip


def in_script(text: str, zero: int) -> str:
    return "".join(chr(zero + int(c)) if c in "0123456789" else c for c in text)


@pytest.mark.parametrize("said", ADDRESSES + INTERNATIONAL)
@pytest.mark.parametrize("around", ["%s", '{"e":"%s","n":1}', "mail:\\n%s, please", "to <%s>"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-be"])
def test_an_address_and_an_international_number_are_masked_in_what_cannot_be_used(
    said, around, encoding
):
    if encoding != "utf-8" and not said.isascii():
        return  # only ASCII and full-width digits are looked for there
    raw = around.replace("%s", said).encode(encoding)
    masked = mask_personal_data(raw)
    assert len(masked) == len(raw)
    text = masked.decode(encoding)
    before, after = around.split("%s")
    assert text == before + "*" * (len(text) - len(before + after)) + after
    assert not contains_personal_data(text)
    assert is_seen_as_masked(masked.replace(b"\0", b""))


@pytest.mark.parametrize("zero", [0xFF10, 0x0660, 0x06F0, 0x0966, 0x1D7CE])
@pytest.mark.parametrize("number", [card_number(), FOURS, grouped(card_number(15), 4, 6, 5)])
def test_digits_of_any_script_are_digits(zero, number):
    text = f"paid with {in_script(number, zero)}."
    assert contains_card_number(text)
    for raw in (text.encode(), json.dumps(text).encode()):
        masked = mask_card_numbers(raw)
        assert len(masked) == len(raw)
        assert masked.count(b"*") >= 11
        assert not contains_card_number(masked.decode())
    assert contains_card_number(text.replace(chr(zero + 4), "4"))  # one of another script is enough


def test_full_width_digits_are_found_in_utf_16_too():
    text = in_script(FOURS, 0xFF10)
    for encoding in ("utf-16-le", "utf-16-be", "utf-16"):
        raw = f"paid with {text}.".encode(encoding)
        assert mask_card_numbers(raw).count(b"*") == 24, encoding


def test_the_list_of_digits_is_unicodes():
    for code in range(0x80, 0x20000):
        plain = unicodedata.normalize("NFKC", chr(code))
        if unicodedata.category(chr(code)) == "Nd" or plain in set("0123456789"):
            folded = digits.fold(chr(code).encode())
            assert folded is not None, hex(code)
            assert int(folded.raw) == unicodedata.digit(chr(code))


def told(**params: str | int) -> bytes:
    return msgspec.json.encode(notice("alert", "store:45", "low_stock", "45-1", T0, params))


@pytest.mark.parametrize(
    "said",
    [*ADDRESSES, *INTERNATIONAL, *NATIONAL, FOURS, in_script(FOURS, 0xFF10), in_script(card_number(), 0x660)],
)  # fmt: skip
def test_a_notice_with_personal_data_is_neither_sent_nor_kept(said):
    for raw in (told(note=said), told(note=f"call {said}, thanks")):
        with pytest.raises(InvalidNotice) as refused:
            parse(raw)
        assert refused.value.reason == "personal_data"
        letter = without_personal_data(raw)
        assert said.encode() not in letter
        assert not contains_personal_data(str(msgspec.json.decode(letter)["params"]))
        assert is_seen_as_masked(letter)


def test_products_ids_and_times_in_a_notice_are_no_telephone_numbers():
    rng = Random(4)
    for one in ids(rng, 2_000):
        parse(told(transaction_id=one, level=3))
    for product in price_list(load("local")):
        note = f"shelf 0145/{product} at 0145-03-20261124-000001"
        parse(told(product=product))
        assert contains_personal_data(note) == contains_card_number(note)
    for text in (
        "012345678905", "06001240100035", "2026-11-30T12:00:00+02:00", "01-12-2026 10:15", "12.50 +3.20",
        "0145-03-20261124-000001", "tax 1234.50 of 12345.60 ZAR", "1 250 000.00", "+12.50",
    ):  # fmt: skip
        assert not contains_personal_data(text), text


def test_typed_fields_hold_no_telephone_number():
    rng = Random(5)
    for one in ids(rng, 2_000):
        raw = msgspec.json.encode({"transaction_id": one, "document_id": one, "lines": []})
        assert mask_personal_data(raw) == raw
    for text in (
        b'{"at":"2026-11-30T12:00:00+02:00","total":-1250,"x":1e+20}', b"2026-11-30T12:00:00+0200;+1250.00",
        b"0045 +1999 2025-11-24 14:32", b"+1999  24.11.2025", b"+250000 2025/11/24;",
        b"+1.234.567,00", b"amount +12500.00\t+300.00", b"a@b", b"5 @ 12.50", b"x@1.25",
    ):  # fmt: skip
        assert mask_personal_data(text) == text, text


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        (r'{"d":"SHOP\\john@example.com"}', r'{"d":"SHOP\\****************"}'),
        (r"SHOP\john@example.com", r"SHOP\****************"),
        (r"mail:\njohn@example.com", r"mail:\n****************"),
        (r"\\njohn@example.com", r"\\*****************"),
        (r"\n@example.com", r"\n@example.com"),  # before it is nothing
        ("x" * 70 + "@b.co", "x" * 6 + "*" * 69),
        (r"C:\\u1234john@example.com", r"C:\\" + "*" * 21),
        (r"\n\u0040jan\u0040example.com", r"\n" + "*" * 26),
        ("info@ab.x" + "\u30ab" * 9, "*" * 33 + "\u30ab"),  # whole signs
        ("+376312345 2025-11-24", "*" * 18 + "-24"),
    ],
)
def test_an_address_begins_after_a_backslash_or_its_escape(said, masked):
    assert mask_personal_data(said.encode()).decode() == masked


def test_an_at_in_megabytes_of_letters_takes_no_longer_than_without_it():
    kana = "\u30ab".encode() * 700_000
    began = time.process_time()
    mask_personal_data(kana)
    without = time.process_time() - began
    mask_personal_data(kana + b"@" + kana)
    assert time.process_time() - began - without < 10 * without + 1


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=100) | st.text(alphabet="+@.19 \uff14\\u0a-", max_size=60).map(str.encode)
)
def test_masking_keeps_the_length_of_any_bytes(raw):
    assert len(mask_personal_data(raw)) == len(raw)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "part",
    [
        b"a",
        b"a@",
        b"+1 ",
        b"1+",
        b"\\u00e9",
        b"+(",
        b"a.",
        b"@a.",
        b"+1.1",
        "\uff14 ".encode(),
        b"\\uff14",
        b"\xc3",
    ],
)
def test_no_bytes_take_long(part):
    raw = part * (1_000_000 // len(part))
    assert len(mask_personal_data(raw)) == len(raw)
