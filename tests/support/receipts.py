"""Baskets of contract v2 that add up, of every kind of line, and canonical receipts, for Hypothesis."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from tillstream.domain.receipt.canonical import Receipt

AMOUNTS = st.integers(0, 10**12)
KINDS = ["sale", "return", "deposit", "bottle_return", "fee", "gift_card", "agency", "coupon"]
FLAGS: st.SearchStrategy[bool] = st.booleans()
EITHER_WAY = ("deposit", "fee", "gift_card", "agency")
BACK = ("return", "bottle_return", "coupon")


@st.composite
def lines(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Each of a product of its own, or taking back part of one before it."""
    made: list[dict[str, Any]] = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        kept = [
            line
            for line in made
            if not line["voided"] and not line["correction"] and line["left"] and line["on_hand"]
        ]
        most = 10**7
        if draw(FLAGS) and kept:
            before = draw(st.sampled_from(kept))
            part = draw(st.integers(0, abs(before["left"]))) * (1 if before["left"] > 0 else -1)
            before["left"] -= part
            most = before["on_hand"]
            line = {
                "kind": before["kind"],
                "code": before["code"],
                "amount": -part,
                "correction": True,
            }
            line["voided"] = False
        else:
            kind = draw(st.sampled_from(KINDS))
            way = -1 if kind in BACK or (kind in EITHER_WAY and draw(FLAGS)) else 1
            line = {
                "kind": kind,
                "code": f"P{number}",
                "amount": way * draw(AMOUNTS),
                "correction": False,
            }
            line["voided"] = draw(FLAGS)
        if line["kind"] == "agency":
            line["agency"] = "airtime"
        quantity = draw(st.integers(1, most))
        if line["correction"]:
            before["on_hand"] -= quantity
        line |= {"number": number, "quantity": quantity / 1000}
        made.append(line | {"left": line["amount"], "on_hand": quantity})
    return made


@st.composite
def receipts(draw: st.DrawFn) -> dict[str, Any]:
    basket = [
        {k: v for k, v in line.items() if k not in ("left", "on_hand")} for line in draw(lines())
    ]
    counted = [line for line in basket if not line["voided"]]
    whole = sum(abs(line["amount"]) for line in counted)
    discounts = [
        {"kind": "manual", "amount": draw(st.integers(-min(whole, 1000), min(whole, 1000)))}
    ]
    if counted and whole > 2000:
        of = draw(st.sampled_from(counted))["number"]
        discounts.append({"kind": "staff", "amount": draw(st.integers(0, 900)), "line": of})
    rounding, added = draw(st.integers(-50, 50)), draw(st.integers(-(10**6), 10**6))
    off = sum(discount["amount"] for discount in discounts)
    total = sum(line["amount"] for line in counted) - off + added + rounding
    first = draw(st.integers(-(10**9), 10**9))
    return {
        "schema": 2, "transaction_id": "T-1", "kind": "retail", "store": "1", "till": "1",
        "ended_at": "2026-11-29T15:18:04+02:00", "currency": "ZAR", "lines": basket, "total": total,
        "discounts": discounts, "rounding": rounding,
        "taxes": [{"code": "S", "amount": added, "included": False}, {"code": "R", "amount": 7}],
        "tenders": [{"kind": "cash", "amount": first}, {"kind": "card", "amount": total - first},
                    {"kind": "card", "amount": 12, "declined": True}],
    }  # fmt: skip


def canonical_receipts() -> st.SearchStrategy[Receipt]:
    """Any that fit the canonical form's types, whether or not they add up."""
    return _any(msgspec.inspect.type_info(Receipt))


def _any(kind: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case msgspec.inspect.IntType(ge=least, le=most):
            return st.integers(least, most)
        case msgspec.inspect.StrType():
            return st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.NoneType():
            return st.none()
        case msgspec.inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case msgspec.inspect.UnionType(types=types):
            return st.one_of(*map(_any, types))
        case msgspec.inspect.VarTupleType(item_type=item):
            return st.lists(_any(item), max_size=3).map(tuple)
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            said = {
                one.name: _any(one.type) if one.required else st.just(one.default) | _any(one.type)
                for one in fields
            }
            return st.builds(cls, **said)
    raise NotImplementedError(kind)
