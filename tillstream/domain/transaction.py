"""A till transaction, contract v1: bytes in, a checked and typed Transaction out.

The contract for readers is state_schemas/events/pos_transaction/v1.json; this is the same contract as
code. The rules around here use the standard library only; this module is the one exception, for it
runs once for every record of every job: msgspec parses and checks types and ranges.

Money is in cents of ``currency``, times are milliseconds since 1970 UTC.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
import orjson
from msgspec import Meta, Struct

SCHEMA_VERSION = 1

Cents = Annotated[int, Meta(ge=0, le=2**53 - 1)]
UnitPrice = Annotated[int, Meta(ge=0, le=100_000_000)]
EventTime = Annotated[int, Meta(ge=1_420_070_400_000, lt=4_133_980_800_000)]  # 2015 to 2100


class InvalidTransaction(ValueError):
    """The bytes are not a transaction of the contract.

    ``reason`` is a stable code (see REASONS); ``message`` names the JSON path and the rule, never
    the value found there, for the value may be what must not be written down.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


REASONS = {
    "not_utf8": "the bytes are not UTF-8",
    "not_json": "the bytes are not one JSON document",
    "not_an_object": "the JSON document is not an object",
    "unknown_version": "the schema version is not one that is known here",
    "missing_field": "a required field is absent",
    "unknown_field": "a field that the contract does not have",
    "field_twice": "a field given twice: nobody can say which of its values holds",
    "wrong_type": "a value of the wrong JSON type, null included",
    "out_of_range": "a number or a count of lines outside its limits",
    "bad_format": "a text that does not match its pattern",
    "not_allowed": "a text that is not one of the allowed ones",
    "total_mismatch": "total_cents is not the sum of the lines",
    "refers_to_missing": "a refund or void that does not say what it reverses",
    "refers_to_unexpected": "a sale that refers to another transaction",
    "refers_to_itself": "a refund or void of itself",
    "card_token_missing": "paid by card, without the card's token",
    "card_token_unexpected": "not paid by card, yet with a card's token",
    "points_not_allowed": "points to redeem on a refund or void, or without a customer",
}


class Line(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """One product of a basket; ``unit_price_cents`` per piece."""

    product: str
    quantity: Annotated[int, Meta(ge=1, le=9999)]
    unit_price_cents: UnitPrice
    category: str


class Transaction(Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True):
    """What a till sent. Absent optional fields are None; ``points_to_redeem`` is 0 when absent.

    Refunds and voids carry positive quantities and totals.
    """

    schema: Literal[1]
    transaction_id: str
    store: Annotated[int, Meta(ge=1, le=2900)]
    region: str
    till: Annotated[int, Meta(ge=1, le=99)]
    payment_method: Literal["card", "cash", "mobile", "gift_card", "eft"]
    event_time_ms: EventTime
    currency: str
    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=500)]
    total_cents: Cents
    kind: Literal["sale", "refund", "void"]
    customer_id: str | None = None
    card_token: str | None = None
    refers_to: str | None = None
    points_to_redeem: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0


_ID = r"[0-9A-Za-z][0-9A-Za-z-]{7,39}"
_SLUG = r"[a-z][a-z-]{1,31}"
PATTERNS = {
    "transaction_id": _ID,
    "region": _SLUG,
    "currency": r"[A-Z]{3}",
    "customer_id": r"C[0-9]{10}",
    "card_token": r"tok_[0-9a-z]{16,32}",
    "refers_to": _ID,
}
LINE_PATTERNS = {"product": r"[0-9]{8,14}", "category": _SLUG}

# All texts of a transaction are checked by one match over them joined by spaces: 0.8 us for three
# lines, where a pattern per field costs 3 us. No pattern allows a space, and their number tells
# whether one is in a text.
_all_texts_match = re.compile(
    f"{_ID} {_SLUG} [A-Z]{{3}} (?:{PATTERNS['customer_id']})? (?:{PATTERNS['card_token']})?"
    f" (?:{_ID})?(?: {LINE_PATTERNS['product']} {_SLUG})+"
).fullmatch

_decode = msgspec.json.Decoder(Transaction).decode
_placed = re.compile(r"(.*) - at `(\$[A-Za-z0-9_.\[\]]*)`", re.DOTALL).fullmatch
_unknown_field = re.compile(
    r"Object contains unknown field `(?:([a-z_]{1,32})|.*)`"
    r"(?: - at `(\$(?:\.[a-z_]{1,32}|\[[0-9]{1,5}\]|\[\.\.\.\])*)`)?",
    re.DOTALL,
).fullmatch


def parse(raw: bytes) -> Transaction:
    """The transaction in ``raw`` (UTF-8 JSON). Raises InvalidTransaction, and nothing else."""
    try:
        sale = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        sale = _read_slowly(raw)
    refers_to = sale.refers_to
    token = sale.card_token
    customer = sale.customer_id
    texts = (
        f"{sale.transaction_id} {sale.region} {sale.currency} {customer or ''} {token or ''}"
        f" {refers_to or ''}"
    )
    total = 0
    for line in sale.lines:
        total += line.quantity * line.unit_price_cents
        texts += f" {line.product} {line.category}"
    if not _all_texts_match(texts) or texts.count(" ") != 5 + 2 * len(sale.lines):
        raise _bad_format(sale)
    # msgspec reads null as absent, and the match above an empty text as absent: neither is.
    if customer == "" or token == "" or refers_to == "" or b"null" in raw:
        _check_absent(raw, customer_id=customer, card_token=token, refers_to=refers_to)
    if total != sale.total_cents:
        raise InvalidTransaction(
            "total_mismatch", "$.total_cents is not the sum of quantity * unit_price_cents"
        )
    if sale.kind == "sale":
        if refers_to is not None:
            raise InvalidTransaction("refers_to_unexpected", "$.refers_to is for refund and void")
    elif refers_to is None:
        raise InvalidTransaction("refers_to_missing", "$.refers_to is required for refund and void")
    elif refers_to == sale.transaction_id:
        raise InvalidTransaction("refers_to_itself", "$.refers_to is the transaction's own id")
    elif sale.points_to_redeem:
        raise InvalidTransaction("points_not_allowed", "$.points_to_redeem is for a sale")
    if sale.points_to_redeem and customer is None:
        raise InvalidTransaction("points_not_allowed", "$.points_to_redeem needs a customer_id")
    if more := raw.count(b'"') - _quotes(sale):
        said_none = more == 2 and not sale.points_to_redeem
        if not said_none or raw.count(b'"points_to_redeem"') != 1:
            refuse_twice(raw)
    if (token is None) == (sale.payment_method == "card"):
        if token is None:
            raise InvalidTransaction("card_token_missing", "$.card_token is required for card")
        raise InvalidTransaction("card_token_unexpected", "$.card_token is for card only")
    return sale


def _read_slowly(raw: bytes) -> Transaction:
    """What msgspec does not read at once: the reason why not."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise unreadable(raw) from None
    try:
        sale = msgspec.convert(document, Transaction)
    except msgspec.ValidationError as error:
        raise invalid(document, str(error)) from None
    refuse_twice(raw)  # msgspec refuses one whose first value does not fit
    return sale


def _quotes(sale: Transaction) -> int:
    """Quotation marks of ``sale`` as JSON, in which each field is given once: no text of it has one. If it
    says that no points are redeemed there are two more."""
    optional = (sale.customer_id, sale.card_token, sale.refers_to)
    texts = 4 * (len(optional) - optional.count(None))
    return 32 + texts + 12 * len(sale.lines) + (2 if sale.points_to_redeem else 0)


def refuse_twice(raw: bytes) -> None:
    """Raises InvalidTransaction if an object in ``raw``, which is JSON, has a field twice. The parsers keep
    the last one and check no other, so anything could pass in a first one: a card number, say."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            name = next(name for name in names if names.count(name) > 1)
            what = f"$.{name}" if name.isidentifier() and len(name) <= 32 else "a field"
            raise InvalidTransaction("field_twice", f"{what} is given twice")
        return found

    with suppress(RecursionError):
        json.loads(raw, object_pairs_hook=once, parse_int=str, parse_float=str)


def _check_absent(raw: bytes, **optional: str | None) -> None:
    document = orjson.loads(raw)
    for name, value in optional.items():
        if name in document and value is None:
            raise InvalidTransaction("wrong_type", f"$.{name} must be left out, not null")
        if name in document and not value:
            raise InvalidTransaction("bad_format", f"$.{name} must match ^{PATTERNS[name]}$")


def unreadable(raw: bytes) -> InvalidTransaction:
    if not raw.strip():
        return InvalidTransaction("not_json", "the record is empty")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return InvalidTransaction("not_utf8", f"byte {error.start} is not UTF-8")
    return InvalidTransaction("not_json", f"{len(raw)} bytes that are not one JSON document")


def invalid(document: Any, error: str, schema: int = SCHEMA_VERSION) -> InvalidTransaction:
    """msgspec's message as one of our reasons, without the value that it may quote. ``schema``: the version
    that was read."""
    if not isinstance(document, dict):
        return InvalidTransaction("not_an_object", "$ is not an object")
    version = document.get("schema")
    if type(version) is int and version != schema:
        return InvalidTransaction("unknown_version", f"$.schema is not {schema}")
    if error.startswith("Object contains unknown field"):  # whose name may be anything
        told = _unknown_field(error)
        name, path = told.groups() if told else ("", "")
        shown = f" {name}" if name else ""
        return InvalidTransaction("unknown_field", f"{path or '$'} has an unknown field{shown}")
    what, path = error, "$"
    if placed := _placed(error):  # a value that is quoted before may look like a place too
        what, path = placed.groups()
    if what.startswith("Object missing required field"):
        return InvalidTransaction("missing_field", f"{path}.{what.split('`')[1]} is required")
    if what.startswith("Invalid enum value"):
        return InvalidTransaction("not_allowed", f"{path} is not one of the allowed values")
    if ", got `" in what:
        return InvalidTransaction("wrong_type", f"{path}: {what[0].lower()}{what[1:]}")
    if "matching regex" in what or "timezone component" in what:
        form = what.replace("Expected `str` matching regex", "match").replace("\\\\Z", "$")
        return InvalidTransaction("bad_format", f"{path} must {form.replace('Expected', 'be')}")
    if "Integer value out of range" in what or "Expected `" in what:
        limit = what.removeprefix("Expected ")
        return InvalidTransaction("out_of_range", f"{path} must be {limit}")
    return InvalidTransaction("wrong_type", f"{path} is not what the contract says")


def _bad_format(sale: Transaction) -> InvalidTransaction:
    for name, pattern in PATTERNS.items():
        value = getattr(sale, name)
        if value is not None and not re.fullmatch(pattern, value):
            return InvalidTransaction("bad_format", f"$.{name} must match ^{pattern}$")
    for n, line in enumerate(sale.lines):
        for name, pattern in LINE_PATTERNS.items():
            if not re.fullmatch(pattern, getattr(line, name)):
                path = f"$.lines[{n}].{name}"
                return InvalidTransaction("bad_format", f"{path} must match ^{pattern}$")
    return InvalidTransaction("bad_format", "$ has a text that does not match its pattern")
