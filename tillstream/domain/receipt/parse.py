"""Bytes of contract v2, or a document of it, to a checked transaction."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec

from tillstream.domain.receipt.contract import DECIMAL, SCHEMA_VERSION, RetailTransaction
from tillstream.domain.receipt.sums import check
from tillstream.domain.transaction import InvalidTransaction, invalid, refuse_twice, unreadable

_decode = msgspec.json.Decoder(RetailTransaction, float_hook=Decimal).decode
_plain = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


_is_decimal = re.compile(DECIMAL).fullmatch
_says_v2 = re.compile(rb'"schema"\s*:\s*2\b').search


def is_v2(raw: bytes) -> bool:
    """Whether a record says that it is of contract v2; what says nothing is v1's."""
    return _says_v2(raw) is not None


def parse(raw: bytes) -> RetailTransaction:
    """The transaction in ``raw`` (UTF-8 JSON). Raises InvalidTransaction, and nothing else."""
    try:
        found = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_slowly(raw)
    check(found)
    # Every text is in quotes once; an escape may hide some. Where they are not as many, or may not be, look.
    if b"\\" in raw or raw.count(b'"') != _encode(found).count(b'"'):
        refuse_twice(raw)
        _refuse_forms(_plain(raw))
    return found


def convert(document: object) -> RetailTransaction:
    """The same of a document that is read already, as mappings make it. Raises InvalidTransaction."""
    try:
        found = msgspec.convert(document, RetailTransaction, strict=True)
    except msgspec.ValidationError as error:
        raise invalid(document, str(error), SCHEMA_VERSION) from None
    check(found)
    _refuse_forms(document)
    return found


def _refuse_forms(document: Any) -> None:
    """Raises InvalidTransaction if a decimal that is a text has not the form of the schema: Python's Decimal
    reads exponents, other scripts' digits and more."""
    for n, line in enumerate(document.get("lines", ())):
        for name in ("quantity", "list_price", "price"):
            _decimal(line.get(name), f"$.lines[{n}].{name}")
        for tax in line.get("taxes", ()):
            _decimal(tax.get("rate"), f"$.lines[{n}].taxes[...].rate")
    for tax in document.get("taxes", ()):
        _decimal(tax.get("rate"), "$.taxes[...].rate")


def _decimal(said: object, where: str) -> None:
    if isinstance(said, str) and not _is_decimal(said):
        raise InvalidTransaction("bad_format", f"{where} must match ^{DECIMAL}$")


def _read_slowly(raw: bytes) -> RetailTransaction:
    """What msgspec does not read at once: the reason why not."""
    try:
        document = _plain(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise unreadable(raw) from None
    found = convert(document)
    refuse_twice(raw)  # of a field given twice the first may not have been of its type
    return found
