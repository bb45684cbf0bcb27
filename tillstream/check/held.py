"""What fraud said of the sales of a customer, for the check alone: a plain reading of the topic of holds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from tillstream.check.rules import FRAUD, Sent

KINDS = dict(zip(("hold", "release", "decline"), FRAUD, strict=True))
Words = Mapping[str, Mapping[str, list[Sent]]]
ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._:/-]{0,63}")
CODE = re.compile(r"[A-Z]{3}")
FROM_2015_MS, TO_2100_MS = 1_420_070_400_000, 4_133_980_800_000
MOST = 2**53 - 1


def said(raw: bytes, arrived_ms: int, ahead_ms: int) -> dict[str, Any] | None:
    """What a record of the topic of holds says; None for one that loyalty and sales leave out: it does not
    match the contract, or its word is more than ``ahead_ms`` ahead of its arrival."""
    try:
        one = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(one, dict):
        return None

    def whole(name: str, least: int, end: int) -> bool:
        return type(one.get(name)) is int and least <= one[name] < end

    def text(name: str, pattern: re.Pattern[str]) -> bool:
        return isinstance(one.get(name), str) and pattern.fullmatch(one[name]) is not None

    region = one.get("region")
    fits = (
        text("transaction_id", ID)
        and one.get("action") in ("hold", "release", "decline")
        and whole("store", 0, 2**31)
        and whole("event_time_ms", FROM_2015_MS, TO_2100_MS)
        and whole("ordered_at_ms", FROM_2015_MS, TO_2100_MS)
        and (one.get("customer_id") is None or text("customer_id", ID))
        and (one.get("currency") is None or text("currency", CODE))
        and (one.get("total_cents") is None or whole("total_cents", -MOST, MOST + 1))
        and (region is None or (isinstance(region, str) and len(region) <= 64))
    )
    return one if fits and one["ordered_at_ms"] <= arrived_ms + ahead_ms else None


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
            if amount is None or one.get("currency") is None or sale in amounts:
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
    words: Mapping[str, list[Sent]],
    sales: Collection[str],
    ledger: Collection[str],
    refused: Collection[str] = (),
) -> list[Sent]:
    """Words of these ``sales`` that have to be in the ``ledger`` (ids of entries), or are. A verdict may come
    before another word, which has no effect then. The last word has to be there, unless the ledger says the
    same by an earlier one; of a sale that was never held here a release says nothing new.
    refused: sales with a word that was refused, for too many were held: it need not be there."""
    wanted = []
    for sale, told in words.items():
        if sale not in sales:
            continue
        there = [word for word in told if word.entry_id in ledger]
        last = max(told, key=lambda word: word.rank)
        stands = max(there, key=lambda word: word.rank).kind if there else "released"
        if last.kind != stands and sale not in refused:
            there.append(last)
        wanted += there
    return wanted
