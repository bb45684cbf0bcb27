"""In which order the check lets a customer's transactions count."""

from __future__ import annotations

import pytest

from tillstream.check.rules import Sent, in_ledger_order, with_voids_apart

A, B, C = (Sent(name, "sale", 100, 0, None) for name in "abc")
BACK = Sent("r", "refund", 100, 0, "a")
V, W = Sent("v", "void", 100, 0, "a"), Sent("w", "void", 100, 0, "b")


@pytest.mark.parametrize(
    ("sent", "ledger", "counts"),
    [
        ([A, V, B, C], "avbc", "avbc"),
        ([A, V, B, C], "abvc", "abvc"),
        ([A, V, B, C], "abcv", "abcv"),
        ([A, B, V], "avb", "avb"),
        ([A, B, V], "vab", "vab"),
        ([A, B, V, W, C], "abvcw", "abvcw"),
        ([A, B, V, W, C], "wabcv", "wabcv"),
        ([A, V, B, V, C], "abvc", "abvc"),  # the same void again counts for nothing
        # it does not cover for what else is in another order
        ([A, V, B, C], "acvb", "avbc"),
        ([A, BACK, B], "abr", "arb"),
        # what is missing shows as missing where it was sent
        ([A, V, B, C], "abc", "avbc"),
        ([A, V, B, C], "avc", "abvc"),
    ],
)
def test_a_void_is_where_it_is_and_nothing_else(sent: list[Sent], ledger: str, counts: str) -> None:
    assert "".join(tx.id for tx in with_voids_apart(sent, list(ledger))) == counts


def test_the_ledgers_own_order_has_what_is_missing_last() -> None:
    assert in_ledger_order([A, B, A, C], ["c", "x", "a"]) == [C, A, B]
