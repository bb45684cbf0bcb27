"""Receipts of contract v2 broken in one way each, and the reason that the front door must give for it.

Each takes a good document and gives bytes. What is changed is chosen so that no other rule is broken before
the one that is meant, whatever is on the receipt.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import orjson

from tillstream.sim.malformed import card_number

Record = dict[str, Any]
Damage = Callable[[Record, Random], bytes]
MOST_NUMBER = 100_000


def _with(**changes: Any) -> Damage:
    return lambda record, rng: orjson.dumps({**record, **changes})


def _line(**line: Any) -> Damage:
    """With a line more."""
    more = {"number": MOST_NUMBER, "scheme": "sku", "code": "DAMAGED", **line}
    return lambda record, rng: orjson.dumps({**record, "lines": [*record["lines"], more]})


def _tender(**tender: Any) -> Damage:
    return lambda record, rng: orjson.dumps(
        {**record, "tenders": [*record.get("tenders", ()), tender]}
    )


def _sum(record: Record) -> int:
    return sum(abs(one["amount"]) for one in record["lines"] if not one.get("voided"))


def _total(record: Record, rng: Random) -> bytes:
    return _with(total=record["total"] + 1 + rng.randrange(500))(record, rng)


def _tendered(record: Record, rng: Random) -> bytes:
    taken = [{"kind": "cash", "amount": record["total"] - 1 - rng.randrange(500)}]
    return _with(tenders=taken)(record, rng)


def _tax_missing(record: Record, rng: Random) -> bytes:
    """The receipt says tax, and each line none of it."""
    lines = [{**one, "taxes": [{"code": "S", "amount": 0}]} for one in record["lines"]]
    tax = {"code": "S", "amount": 1_000 * len(lines) + 1 + rng.randrange(500)}
    return _with(lines=lines, taxes=[tax])(record, rng)


def _without(record: Record, rng: Random) -> bytes:
    # Not its id: what has none is another maker's, and not ours to judge.
    name = rng.choice(("store", "till", "ended_at", "currency", "total", "kind"))
    return orjson.dumps({k: v for k, v in record.items() if k != name})


def _of_line(**changes: Any) -> Damage:
    """The first line with other fields."""

    def changed(record: Record, rng: Random) -> bytes:
        first, *rest = record["lines"]
        return orjson.dumps({**record, "lines": [{**first, **changes}, *rest]})

    return changed


def _line_twice(record: Record, rng: Random) -> bytes:
    lines = record["lines"]
    return orjson.dumps({**record, "lines": [*lines, lines[rng.randrange(len(lines))]]})


def _void_of_nothing(record: Record, rng: Random) -> bytes:
    kept = {k: v for k, v in record.items() if k != "voids"}
    return orjson.dumps({**kept, "kind": "void"})


def _void_of_itself(record: Record, rng: Random) -> bytes:
    own = record["transaction_id"]
    return _with(kind="void", voids=own)(record, rng)


def _sale_that_voids(record: Record, rng: Random) -> bytes:
    return _with(kind="retail", voids="0001-01-20250101-000001")(record, rng)


def _unknown_store(record: Record, rng: Random) -> bytes:
    """Of a training till nobody asks where it stands."""
    kept = {k: v for k, v in record.items() if k != "training"}
    return orjson.dumps({**kept, "store": f"NOWHERE-{rng.randrange(1000)}"})


def _twice(record: Record, rng: Random) -> bytes:
    """A field twice, of which parsers keep the right one."""
    return b'{"total":%d,' % (record["total"] + 1) + orjson.dumps(record)[1:]


def _truncated(record: Record, rng: Random) -> bytes:
    raw = orjson.dumps(record)
    return raw[: 1 + rng.randrange(len(raw) - 1)]


def _points(record: Record, rng: Random) -> bytes:
    return _with(loyalty={"customer": "C0000000001", "granted": 1 + rng.randrange(99)})(record, rng)


def _discount(record: Record, rng: Random) -> bytes:
    return _with(discounts=[{"kind": "manual", "amount": _sum(record) + 1}])(record, rng)


def _rounding(record: Record, rng: Random) -> bytes:
    return _with(rounding=max(100, _sum(record) // 100) + 1)(record, rng)


def _card(record: Record, rng: Random) -> bytes:
    """A card's number where its token belongs."""
    return _tender(kind="card", amount=0, card_token=card_number(rng))(record, rng)


# kind of damage: (the front door's reason, how)
KINDS: dict[str, tuple[str, Damage]] = {
    "total_off": ("lines_total", _total),
    "tendered_off": ("tenders_total", _tendered),
    "tax_missing": ("tax_total", _tax_missing),
    "unknown_currency": ("unknown_currency", _with(currency="ZZZ")),
    "unknown_store": ("unknown_store", _unknown_store),
    "sale_below_nothing": ("line_sign", _line(kind="sale", amount=-100)),
    "return_that_is_paid": ("line_sign", _line(kind="return", amount=100)),
    "line_twice": ("line_twice", _line_twice),
    "no_such_parent": ("no_such_line", _line(kind="deposit", amount=0, parent=MOST_NUMBER - 1)),
    "nothing_to_correct": (
        "nothing_to_correct", _line(kind="sale", amount=-100, correction=True),
    ),
    "quantity_of_nothing": ("quantity", _of_line(quantity=0)),
    "finer_than_a_gram": ("quantity", _of_line(quantity=0.5321)),
    "agency_of_no_kind": ("agency", _line(kind="agency", amount=0)),
    "discount_beyond": ("discount", _discount),
    "rounding_beyond": ("rounding", _rounding),
    "change_that_is_paid": ("tender", _tender(kind="change", amount=100)),
    "token_of_cash": (
        "tender", _tender(kind="cash", amount=0, card_token="tok_a1b2c3d4e5f6g7h8"),
    ),
    "foreign_without_amount": (
        "foreign_amount", _tender(kind="cash", amount=0, foreign_currency="USD"),
    ),
    "points_not_asked": ("points", _points),
    "void_of_nothing": ("refers_to_missing", _void_of_nothing),
    "void_of_itself": ("refers_to_itself", _void_of_itself),
    "sale_that_voids": ("refers_to_unexpected", _sale_that_voids),
    "no_lines": ("no_lines", _with(lines=[])),
    "no_offset": ("bad_format", _with(ended_at="2026-11-29T15:18:04")),
    "time_of_1970": ("out_of_range", _with(ended_at="1970-01-01T00:00:00+02:00")),
    "card_number": ("bad_format", _card),
    "unknown_kind": ("not_allowed", _with(kind="refund")),
    "unknown_version": ("unknown_version", _with(schema=3)),
    "unknown_field": ("unknown_field", _with(customer_name="Thandi")),
    "missing_field": ("missing_field", _without),
    "total_in_rand": ("wrong_type", _with(total=12.34)),
    "field_twice": ("field_twice", _twice),
    "truncated": ("not_json", _truncated),
}  # fmt: skip
NAMES = list(KINDS)


def damage(record: Record, rng: Random) -> tuple[str, str, bytes]:
    """(kind, reason, bytes): one of the kinds, by turns of ``rng``."""
    kind = NAMES[rng.randrange(len(NAMES))]
    reason, how = KINDS[kind]
    return kind, reason, how(record, rng)
