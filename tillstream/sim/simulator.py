"""The stream of till transactions, the same for the same seed and arguments.

Event time runs by the rate, not by the clock of this machine: record n happens n / rate seconds after
``start_ms``, whenever it is sent.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from heapq import heappop, heappush
from itertools import pairwise
from math import ceil
from random import Random
from time import gmtime, strftime, time
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from tillstream.sim.fuzz import unusable
from tillstream.sim.malformed import damage
from tillstream.sim.receipts.maker import Receipts, Visit
from tillstream.sim.receipts.malformed import damage as damage_v2
from tillstream.sim.world import (
    DEPTH,
    Customers,
    Product,
    Store,
    draw_table,
    load_products,
    load_profile,
    load_stores,
)

MINUTE_MS = 60_000
LATE_MS = (5 * MINUTE_MS, 20 * 60 * MINUTE_MS)
REMEMBERED = 8192  # recent sales that may be refunded, recent records that may come twice
HELD_BACK = 40  # an out-of-order record comes at most so many records too late
Record = dict[str, Any]
CONTRACTS = ("v1", "v2", "mixed")


@dataclass(frozen=True)
class Faults:
    """Shares of all records sent, each 0 to 1."""

    duplicates: float = 0.0
    malformed: float = 0.0
    late: float = 0.0
    out_of_order: float = 0.0
    fuzzed: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.duplicates, self.malformed, self.late, self.out_of_order, self.fuzzed)
        if min(shares) < 0 or sum(shares) > 0.9:
            raise ValueError("shares of faults must be 0 or more, and 0.9 at most together")


class Sent(NamedTuple):
    """One record to send. ``record`` is None for a malformed one, whose kind is in ``damage``.
    ``stream``: ``tills``, ``movements`` for a document about stock, or ``households``. reason: which the
    front door must give for it, where it is known."""

    klass: str
    key: str
    raw: bytes
    record: Record | None
    damage: str | None = None
    stream: str = "tills"
    reason: str | None = None


class Simulator:
    """Iterate for ``count`` records, or without end. Shares default to the profile's."""

    def __init__(
        self,
        profile: str = "normal",
        seed: int = 1,
        *,
        count: int | None = None,
        customers: int = 20_000,
        rate: float | None = None,
        start_ms: int | None = None,
        faults: Faults | None = None,
        refunds: float | None = None,
        voids: float | None = None,
        redemptions: float | None = None,
        stores: int | None = None,
        products: int | None = None,
        contract: str = "v1",
        of_stores: list[Store] | None = None,
    ) -> None:
        """``stores``, ``products``: only the first so many of them. contract: v1, v2, or mixed, where each
        store's tills speak one of them. of_stores: in place of the packaged ones."""
        self.profile = load_profile(profile)
        self.seed, self.count, self.faults = seed, count, faults or Faults()
        self.rate = rate or self.profile.rate
        self.start_ms = start_ms if start_ms is not None else int(time()) * 1000
        self.refunds = self.profile.refunds if refunds is None else refunds
        self.voids = self.profile.voids if voids is None else voids
        self.redemptions = self.profile.redemptions if redemptions is None else redemptions
        self._rng = Random(f"traffic {seed}")
        self._random = self._rng.random
        self._stores = (of_stores or load_stores())[:stores]
        self._customers = Customers(customers, seed, self._stores)
        self.customers = self._customers.ids
        sold = load_products()[:products]
        boost = self.profile.categories
        weights = [p.popularity * boost.get(p.category, 1) for p in sold]
        # lines are shared between records, so nothing may change one in place
        table = draw_table([_as_lines(p) for p in sold], weights)
        self._lines: list[list[Record]] = table
        payment = self.profile.payment
        self._payments = draw_table(list(payment), list(payment.values()))
        self._tag = tag(seed)
        self._sequence = 0
        self._day, self._date = -1, ""
        self._sales: list[Record] = []
        self._recent: list[Sent] = []
        self._held: list[tuple[int, int, Sent]] = []
        self._receipts: Receipts | None = None
        if contract != "v1":
            share = 1.0 if contract == "v2" else self.profile.v2.stores
            # Spread evenly, beginning with the first: a store has few tills of its own kind.
            ends = [ceil(n * share) for n in range(len(self._stores) + 1)]
            self._by_v2 = [after > before for before, after in pairwise(ends)]
            self._receipts = Receipts(
                self.profile, seed, self._customers, self._stores, sold, self._by_v2,
                self.redemptions, self._number,
            )  # fmt: skip

    def __iter__(self) -> Iterator[Sent]:
        """Records in send order. Those still held back at the end are sent within ``count``."""
        faults, random = self.faults, self._random
        malformed = faults.malformed
        broken = malformed + faults.fuzzed
        duplicates = broken + faults.duplicates
        late = duplicates + faults.late
        # some draws bring two out-of-order records, a reversal and then its sale
        out_of_order = late + faults.out_of_order / 1.3
        n = 0
        while self.count is None or n < self.count:
            left = None if self.count is None else self.count - n
            now_ms = self.start_ms + int(n * 1000 / self.rate)
            if self._held and (self._held[0][0] <= n or left == len(self._held)):
                yield self._emit(heappop(self._held)[2], n)
                n += 1
                continue
            draw = random()
            if draw < malformed:
                yield self._damaged(self._transaction(now_ms))
            elif draw < broken:
                record = self._transaction(now_ms)
                raw = unusable(orjson.dumps(record), self._rng, record["schema"])
                yield Sent("malformed", _key(record), raw, None, "fuzzed")
            elif draw < duplicates and self._recent:
                again = self._recent[int(random() * len(self._recent))]
                yield again._replace(klass="duplicate")
            elif draw < late:
                ago = LATE_MS[0] + int(random() * (LATE_MS[1] - LATE_MS[0]))
                record = self._sale(now_ms - ago)
                if record["schema"] == 2 and "channel" not in record:
                    record["offline"] = True
                yield self._emit(_sent("late", record), n)
            elif draw < out_of_order and (left is None or left > len(self._held) + 2):
                held = self._hold_back(now_ms, n)
                if held is None:
                    continue
                yield self._emit(held, n)
            else:
                yield self._emit(_sent("ok", self._transaction(now_ms)), n)
            n += 1

    def _hold_back(self, now_ms: int, n: int) -> Sent | None:
        """Keeps a record for later; with it maybe a reversal to be sent now, before its sale."""
        random = self._random
        record = self._transaction(now_ms)
        self._sequence += 1  # ties in the heap are never compared by record
        due = n + 2 + int(random() * HELD_BACK)
        heappush(self._held, (due, self._sequence, _sent("out_of_order", record)))
        if not _is_sale(record) or random() >= 0.3:
            return None
        at_ms = _after(record, now_ms + MINUTE_MS)
        return _sent("out_of_order", self._reversal(record, at_ms, random() < 0.3))

    def _emit(self, sent: Sent, n: int) -> Sent:
        here = slice(n % REMEMBERED, n % REMEMBERED + 1)  # beyond the end it is added
        self._recent[here] = [sent]
        record = sent.record
        if record is not None and (record["kind"] == "sale" or _is_sale(record)):
            self._sales[here] = [record]
        return sent

    def _damaged(self, record: Record) -> Sent:
        if record["schema"] == 1:
            kind, raw = damage(record, self._rng)
            return Sent("malformed", _key(record), raw, None, kind)
        kind, reason, raw = damage_v2(record, self._rng)
        return Sent("malformed", _key(record), raw, None, kind, reason=reason)

    def _transaction(self, at_ms: int) -> Record:
        draw = self._random()
        if self._sales and draw < self.refunds + self.voids:
            sale = self._sales[int(self._random() * len(self._sales))]
            return self._reversal(sale, _after(sale, at_ms), draw < self.voids)
        return self._sale(at_ms)

    def _sale(self, at_ms: int) -> Record:
        random, customers = self._random, self._customers
        who = -1
        if random() >= self.profile.anonymous:
            who = self._customer(at_ms)
            home = customers.home[who]
            store_at = home if random() < 0.85 else int(random() * len(self._stores))
            spend = customers.spend_cents[who]
        else:
            store_at, spend = int(random() * len(self._stores)), 25_000
        if self._receipts is not None and self._by_v2[store_at]:
            drawn = Visit(who, store_at, spend * self.profile.spend * (0.4 + 1.2 * random()))
            return self._receipts.sale(drawn, at_ms)
        store = self._stores[store_at]
        lines, total = self._basket(spend * self.profile.spend * (0.4 + 1.2 * random()))
        payment = self._payments[int(random() * DEPTH)]
        record = self._head(store.number, store.region, 1 + int(random() * 12), at_ms)
        if who >= 0:
            record["customer_id"] = customers.ids[who]
        if payment == "card":
            token_of = who if who >= 0 else int(random() * len(customers.token))
            record["card_token"] = customers.token[token_of]
        record["payment_method"] = payment
        record["event_time_ms"] = at_ms
        record["currency"] = store.currency
        record["lines"] = lines
        record["total_cents"] = total
        record["kind"] = "sale"
        if who >= 0:
            points = customers.points[who]
            redeemed = 0
            if random() < self.redemptions:
                redeemed = self._redemption(points, total)
                record["points_to_redeem"] = redeemed
            granted = redeemed if redeemed <= points and redeemed * 10 <= total else 0
            customers.points[who] = points - granted + (total - granted * 10) // 1000
        return record

    def _redemption(self, points: int, total_cents: int) -> int:
        """Mostly covered by the points there are; sometimes one too many, sometimes too much."""
        draw = self._random()
        if draw < 0.2 or not points:
            return points + 1 + int(self._random() * 20)
        if draw < 0.23:
            return total_cents // 10 + 1
        return 1 + int(self._random() * min(points, total_cents // 10))

    def _reversal(self, sale: Record, at_ms: int, void: bool) -> Record:
        if self._receipts is not None and sale["schema"] == 2:
            return self._receipts.reversal(sale, at_ms, void)
        record = self._head(sale["store"], sale["region"], sale["till"], at_ms)
        for name in ("customer_id", "card_token"):
            if name in sale:
                record[name] = sale[name]
        lines = sale["lines"]
        if not void and self._random() < 0.7:
            first = int(self._random() * len(lines))
            lines = lines[first : first + 1 + int(self._random() * 2)]
        record["payment_method"] = sale["payment_method"]
        record["event_time_ms"] = at_ms
        record["currency"] = sale["currency"]
        record["lines"] = lines
        record["total_cents"] = sum(line["quantity"] * line["unit_price_cents"] for line in lines)
        record["kind"] = "void" if void else "refund"
        record["refers_to"] = sale["transaction_id"]
        return record

    def _head(self, store: int, region: str, till: int, at_ms: int) -> Record:
        self._sequence += 1
        day = at_ms // 86_400_000
        if day != self._day:
            self._day, self._date = day, strftime("%Y%m%d", gmtime(at_ms / 1000))
        number = f"{store:04d}-{till:02d}-{self._date}-{self._tag}{self._sequence:06d}"
        return {
            "schema": 1,
            "transaction_id": number,
            "store": store,
            "region": region,
            "till": till,
        }

    def _number(self, store: int, till: int, at_ms: int) -> str:
        return str(self._head(store, "", till, at_ms)["transaction_id"])

    def _customer(self, at_ms: int) -> int:
        """Someone whose hour it is, mostly; a fifth of the customers make half of the visits."""
        random, hours, home = self._random, self._customers.hour, self._customers.home
        count = len(hours)
        who = 0
        for _ in range(3):
            who = int(random() * (max(1, count // 5) if random() < 0.375 else count))
            if abs(hours[who] - _hour(self._stores[home[who]].zone, at_ms // 900_000)) <= 2:
                break
        return who

    def _basket(self, spend_cents: float) -> tuple[list[Record], int]:
        """1 to 12 lines that cost about ``spend_cents``, and their total."""
        random, table = self._random, self._lines
        lines: list[Record] = []
        total = 0
        while True:
            draw = random()
            by_quantity = table[int(random() * DEPTH)]
            line = by_quantity[0 if draw < 0.6 else 1 if draw < 0.85 else 2 if draw < 0.95 else 3]
            lines.append(line)
            total += line["quantity"] * line["unit_price_cents"]
            if total >= spend_cents or len(lines) == 12:
                return lines, total


def tag(seed: int) -> str:
    """Two letters in each transaction's id. Traffic of two seeds that share them may share ids."""
    letters = Random(f"tag {seed}")
    return chr(97 + letters.randrange(26)) + chr(97 + letters.randrange(26))


@lru_cache(maxsize=4096)
def _hour(zone: str, quarter: int) -> int:
    """Of the day there, in this quarter of an hour since the epoch."""
    return datetime.fromtimestamp(quarter * 900, ZoneInfo(zone)).hour


def truth_line(n: int, sent: Sent) -> bytes:
    """One line of sent.jsonl."""
    head = f'{{"n":{n},"class":"{sent.klass}","key":"{sent.key}",'.encode()
    if sent.stream != "tills":
        head += f'"stream":"{sent.stream}",'.encode()
    if sent.reason is not None:
        head += f'"reason":"{sent.reason}",'.encode()
    if sent.record is None:
        return b'%b"raw":"%b"}\n' % (head, base64.b64encode(sent.raw))
    return b'%b"record":%b}\n' % (head, sent.raw)


def _as_lines(product: Product) -> list[Record]:
    """The product's line at quantities 1, 2, 3 and 6."""
    return [
        {
            "product": product.gtin,
            "quantity": quantity,
            "unit_price_cents": product.unit_price_cents,
            "category": product.category,
        }
        for quantity in (1, 2, 3, 6)
    ]


def _key(record: Record) -> str:
    return record.get("customer_id") or (
        record["transaction_id"] if record["schema"] == 1 else _customer_of(record)
    )


def _customer_of(record: Record) -> str:
    """Of a receipt of contract v2; else its id."""
    said = record.get("loyalty")
    return str(said["customer"] if said else record["transaction_id"])


def _is_sale(record: Record) -> bool:
    """Whether it may be reversed: a void may not, nor what had no effect."""
    return record["kind"] == "sale" or (record["kind"] == "retail" and "training" not in record)


def _after(record: Record, at_ms: int) -> int:
    """When it may be reversed, ``at_ms`` at the earliest. Of contract v2 what was reversed may be so again:
    minutes would add up to a clock that is ahead."""
    if record["schema"] == 1:
        return max(at_ms, record["event_time_ms"] + MINUTE_MS)
    ended = datetime.fromisoformat(record["ended_at"])
    return max(at_ms, round(ended.timestamp() * 1000) + 1_000)


def _sent(klass: str, record: Record) -> Sent:
    return Sent(klass, _key(record), orjson.dumps(record), record)
