"""What fraud said of the sales of a customer, for the check alone: a plain reading of the topic of holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tillstream.check.rules import FRAUD, Sent

KINDS = dict(zip(("hold", "release", "decline"), FRAUD, strict=True))
Words = Mapping[str, Mapping[str, list[Sent]]]


def words_of(holds: Iterable[Mapping[str, Any]]) -> Words:
    """By customer and sale, each word once. A sale of nobody has no points."""
    found: dict[str, dict[str, list[Sent]]] = defaultdict(lambda: defaultdict(list))
    for one in holds:
        if customer := one.get("customer_id"):
            kind = KINDS[one["action"]]
            word = Sent(one["transaction_id"], kind, 0, 0, None, at_ms=one["ordered_at_ms"])
            told = found[customer][word.id]
            if word not in told:
                told.append(word)
    return found


def must_follow(
    words: Mapping[str, list[Sent]], sales: Collection[str], ledger: Collection[str]
) -> list[Sent]:
    """Words of these ``sales`` that have to be in the ``ledger`` (ids of entries), or are. A verdict may come
    before another word, which has no effect then. The last word has to be there, unless the ledger says the
    same by an earlier one; of a sale that was never held here a release says nothing new."""
    wanted = []
    for sale, told in words.items():
        if sale not in sales:
            continue
        there = [word for word in told if word.entry_id in ledger]
        last = max(told, key=lambda word: word.rank)
        stands = max(there, key=lambda word: word.rank).kind if there else "released"
        if last.kind != stands:
            there.append(last)
        wanted += there
    return wanted
