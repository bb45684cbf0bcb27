"""What fraud said of the sales of a customer, for the check alone: a plain reading of the topic of holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

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


class Hour(NamedTuple):
    """Of a sale, from ``window_start_ms`` on."""

    store: int
    window_start_ms: int
    currency: str


HOUR_MS = 3_600_000
SUMS = ("held", "held_cents", "lost", "lost_cents")


def revenue_of(holds: Iterable[Mapping[str, Any]]) -> tuple[dict[Hour, list[int]], dict[str, int]]:
    """What is held and lost by hour, as SUMS; and of each sale whose amount is known that. A hold of before
    there were amounts counts for nothing."""
    words: dict[str, list[Sent]] = defaultdict(list)
    places: dict[str, Hour] = {}
    amounts: dict[str, int] = {}
    for one in holds:
        sale, sold_ms = one["transaction_id"], one["event_time_ms"]
        amount = one.get("total_cents")
        if one["action"] == "hold":
            if amount is None or sale in amounts:
                continue
            amounts[sale] = amount
            places[sale] = Hour(one["store"], sold_ms - sold_ms % HOUR_MS, one["currency"])
        word = Sent(sale, KINDS[one["action"]], 0, 0, None, at_ms=one["ordered_at_ms"])
        words[sale].append(word)
    sums: dict[Hour, list[int]] = defaultdict(lambda: [0] * len(SUMS))
    for sale, place in places.items():
        last = max(words[sale], key=lambda word: word.rank).kind
        if last != "released":
            at = 0 if last == "held" else 2
            sums[place][at] += 1
            sums[place][at + 1] += amounts[sale]
    return sums, amounts


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
