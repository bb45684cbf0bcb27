"""Baskets of contract v2 that add up, of every kind of line, for Hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

AMOUNTS = st.integers(0, 10**12)
KINDS = ["sale", "return", "deposit", "bottle_return", "fee", "gift_card", "agency", "coupon"]
BACK = ("return", "bottle_return", "coupon")


@st.composite
def receipts(draw: st.DrawFn) -> dict[str, Any]:
    lines = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        kind, correction = draw(st.sampled_from(KINDS)), draw(st.booleans())
        amount = draw(AMOUNTS) * (-1 if (kind in BACK) is not correction else 1)
        line = {"number": number, "kind": kind, "amount": amount, "correction": correction}
        line["quantity"] = draw(st.integers(1, 10**7)) / 1000
        line["voided"] = draw(st.booleans())
        lines.append(line)
    off, rounding = draw(st.integers(-1000, 1000)), draw(st.integers(-50, 50))
    added, line_off = draw(st.integers(-(10**6), 10**6)), draw(st.integers(0, 1000))
    kept = sum(one["amount"] for one in lines if not one["voided"])
    total = kept - off - line_off + added + rounding
    first = draw(st.integers(-(10**9), 10**9))
    return {
        "schema": 2, "transaction_id": "T-1", "kind": "retail", "store": "1", "till": "1",
        "ended_at": "2026-11-29T15:18:04+02:00", "currency": "ZAR", "lines": lines, "total": total,
        "discounts": [{"kind": "manual", "amount": off},
                      {"kind": "staff", "amount": line_off, "line": draw(st.integers(1, len(lines)))}],
        "rounding": rounding,
        "taxes": [{"code": "S", "amount": added, "included": False}, {"code": "R", "amount": 7}],
        "tenders": [{"kind": "cash", "amount": first}, {"kind": "card", "amount": total - first},
                    {"kind": "card", "amount": 12, "declined": True}],
    }  # fmt: skip
