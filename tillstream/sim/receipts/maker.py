"""Sales, returns and voids as contract v2 has them, by dice of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tillstream.sim.receipts import tenders
from tillstream.sim.receipts.lines import Basket, Range, Record, label
from tillstream.sim.receipts.ways import Shares, Ways, ways_of
from tillstream.sim.world import DEPTH, Customers, Product, Profile, Store, draw_table

DAY_BEGINS = timedelta(hours=4)  # what is rung up before belongs to the evening's business day
ONLINE = ("online", "click_and_collect", "delivery")
Number = Callable[[int, int, int], str]


class Visit(NamedTuple):
    """Who comes, -1 for nobody known; the place of the store among the stores; what will be spent, in rand
    cents."""

    who: int
    store_at: int
    spend: float


class Receipts:
    """by_v2: which of the stores have such tills. ``number``: gives ids, of store, till and time. Records
    are documents of the contract."""

    def __init__(
        self,
        profile: Profile,
        seed: int,
        customers: Customers,
        stores: list[Store],
        products: list[Product],
        by_v2: list[bool],
        redemptions: float,
        number: Number,
    ) -> None:
        self.shares: Shares = profile.v2
        self._rng = Random(f"receipts {seed}")
        self._random = self._rng.random
        self._customers, self._stores, self._number = customers, stores, number
        self._products, self._by_v2, self._redemptions = products, by_v2, redemptions
        self._weights = [p.popularity * profile.categories.get(p.category, 1) for p in products]
        self._ranges: dict[str, Range] = {}
        payment = profile.payment | self.shares.payment
        self._payments: list[str] = draw_table(list(payment), list(payment.values()))
        channels = self.shares.channels
        self._channels: list[str] = draw_table(list(channels), list(channels.values()))
        self._sequences: Counter[str] = Counter()
        self._at = {str(store.number): n for n, store in enumerate(stores)}

    def sale(self, visit: Visit, at_ms: int) -> Record:
        """A basket; now and then something without a receipt comes back on it."""
        random, store = self._random, self._stores[visit.store_at]
        range_ = self._range(store)
        basket = Basket(range_, self.shares, self._rng)
        if random() < self.shares.swap:
            self._without_receipt(basket)
        basket.goods(visit.spend * range_.ways.price)
        basket.extras()
        channel = self._channels[int(random() * DEPTH)]
        if channel == "delivery":
            basket.other("fee", "DELIVERY", 3_500, next(iter(range_.ways.taxes)))
        record = self._head(store, channel, at_ms)
        if random() < self.shares.training:
            record["training"] = True
        points = self._loyalty(record, visit.who)
        self._close(record, basket, visit.who, points)
        if visit.who >= 0:
            granted = record["loyalty"].get("granted", 0)
            earned = max(0, int(record["total"] / range_.ways.price)) // 1000
            self._customers.points[visit.who] += earned - granted
        return record

    def reversal(self, earlier: Record, at_ms: int, void: bool) -> Record:
        """The void of a whole receipt, or some of its goods back, maybe in exchange."""
        if void:
            return self._void(earlier, at_ms)
        random, shares = self._random, self.shares
        taken_back = {one["code"] for one in earlier["lines"] if one.get("correction")}
        sold = [o for o in earlier["lines"] if _comes_back(o) and o["code"] not in taken_back]
        home = self._at[earlier["store"]]
        store = self._stores[self._elsewhere(home) if random() < shares.elsewhere else home]
        basket = Basket(self._range(store), shares, self._rng)
        if not sold or random() < shares.receiptless:
            self._without_receipt(basket)
        else:
            first = int(random() * len(sold))
            for line in sold[first : first + 1 + int(random() * 2)]:
                back = {"receipt": earlier["transaction_id"], **self._fate()}
                basket.returned(line, _paid_for(earlier, line), back)
        if random() < shares.exchange:
            basket.goods(10_000 * basket.ways.price)
        record = self._head(store, "till", at_ms)
        who, draw = -1, random()
        if draw < shares.other_card:
            who = int(random() * len(self._customers.ids))
            record["loyalty"] = {"customer": self._customers.ids[who]}
        elif draw >= shares.other_card + shares.no_card and "loyalty" in earlier:
            record["loyalty"] = {"customer": earlier["loyalty"]["customer"]}
        record["approved_by"] = f"{store.number}{int(random() * 3) + 90}"
        self._close(record, basket, who, [], _token_of(earlier))
        return record

    def _void(self, earlier: Record, at_ms: int) -> Record:
        """As the receipt was, with the same signs; times, number and who did it are its own."""
        store = self._stores[self._at[earlier["store"]]]
        record = self._head(store, earlier.get("channel", "till"), at_ms, earlier["till"])
        kept = ("currency", "lines", "discounts", "taxes", "rounding", "total", "tenders")
        record |= {name: earlier[name] for name in kept if name in earlier}
        if "loyalty" in earlier:
            record["loyalty"] = {"customer": earlier["loyalty"]["customer"]}
        if self._random() < 0.3:
            record.pop("tenders", None)  # some tills do not say how the money went back
        approved = f"{store.number}{90 + int(self._random() * 3)}"
        return record | {
            "kind": "void",
            "voids": earlier["transaction_id"],
            "approved_by": approved,
        }

    def _head(self, store: Store, channel: str, at_ms: int, till: str = "") -> Record:
        random = self._random
        number = 1 + int(random() * 12)
        own = {"till": str(number), "self_checkout": f"sco-{number}"}
        till = till or own.get(channel, "web")
        ended = datetime.fromtimestamp(at_ms / 1000, _zone(store.zone))
        record: Record = {
            "schema": 2,
            "transaction_id": self._number(store.number, number, at_ms),
            "kind": "retail",
            "store": str(store.number),
            "till": till,
            "ended_at": ended.isoformat(timespec="milliseconds"),
            "currency": store.currency,
        }
        if random() < 0.9:  # the others leave it to the front door, by their clock
            record["business_day"] = (ended - DAY_BEGINS).date().isoformat()
        if channel != "self_checkout" or random() < 0.1:
            took = timedelta(seconds=20 + int(random() * 280))
            record["began_at"] = (ended - took).isoformat(timespec="milliseconds")
        if channel not in ONLINE:
            place = f"{store.number}/{till}"
            self._sequences[place] += 1
            record["sequence"] = self._sequences[place]
        if channel == "till":
            record["cashier"] = f"{store.number}{10 + int(random() * 30)}"
            if random() < self.shares.offline:
                record["offline"] = True
        else:
            record["channel"] = channel
        if ways_of(store.country).fiscal:
            record["fiscal_id"] = f"{store.country}-{store.number:04d}-{at_ms % 10**9:09d}"
        return record

    def _close(
        self, record: Record, basket: Basket, who: int, first: list[Record], token: str = ""
    ) -> None:
        """Discounts of the basket, tax, tenders and the total of a receipt whose lines are there."""
        random, ways = self._random, basket.ways
        off = self._discounts(record, basket)
        self._taxes(record, basket, off)
        record["lines"] = basket.lines
        due = basket.total - off
        if not token:
            tokens = self._customers.token
            token = tokens[who if who >= 0 else int(random() * len(tokens))]
        if due <= 0:
            kind = "card" if random() < 0.4 else "cash"
            rounded, taken = tenders.given_back(due, kind, token, ways)
        else:
            kind = self._payments[int(random() * DEPTH)]
            if record.get("channel") in ONLINE and kind == "cash":
                kind = "card"
            if sum(one["amount"] for one in first) > due:
                first = []
                record["loyalty"]["granted"] = 0
            elif not first and due >= 10 and random() < self.shares.two_tenders:
                part = due * (1 + int(random() * 8)) // 10
                first = [{"kind": ("gift_card", "voucher")[int(random() * 2)], "amount": part}]
            rounded, taken = tenders.paid(due, kind, token, first, ways, self.shares, self._rng)
        if rounded:
            record["rounding"] = rounded
        record["total"] = due + rounded
        record["tenders"] = taken

    def _discounts(self, record: Record, basket: Basket) -> int:
        """Of the basket, or for single lines of it; what they come to."""
        random, shares = self._random, self.shares
        goods = [one for one in basket.lines if _comes_back(one) and one["amount"] > 0]
        sold = sum(one["amount"] for one in goods)
        draw = random()
        if draw >= shares.staff + shares.off_basket or sold <= 0 or basket.total <= 0:
            return 0
        if draw < shares.staff:
            record["discounts"] = [{"kind": "staff", "amount": min(sold // 10, basket.total)}]
        elif random() < 0.5:
            few = goods[: 1 + int(random() * 2)]
            record["discounts"] = [
                {"kind": "loyalty", "promotion": "CARD-PRICE", "line": one["number"],
                 "amount": one["amount"] // 8}
                for one in few
            ]  # fmt: skip
        else:
            amount = min(int(2_000 * basket.ways.price), sold // 4, basket.total)
            record["discounts"] = [
                {"kind": "promotion", "promotion": "BASKET-20", "amount": amount}
            ]
        return sum(one["amount"] for one in record["discounts"])

    def _taxes(self, record: Record, basket: Basket, off: int) -> None:
        """Included tax by code, and by line where the till says it. What is off the basket as a whole lowers
        the receipt's tax alone, so such tills say none by line."""
        ways = basket.ways
        off_line: Counter[int] = Counter()
        for one in record.get("discounts", ()):
            off_line[one.get("line", 0)] += one["amount"]
        of_basket = off_line[0]
        by_line = not of_basket and self._random() < self.shares.tax_by_line
        taxable: Counter[str] = Counter()
        for line, code in zip(basket.lines, basket.taxed, strict=True):
            if line.get("voided"):
                continue
            amount = line["amount"] - off_line[line["number"]]
            taxable[code] += amount
            if by_line:
                line["taxes"] = [_tax(ways, code, amount)]
        if of_basket:
            # From what is taxed highest, as far as it goes: the till's own arithmetic is its own.
            code = max(taxable, key=lambda one: (taxable[one], one))
            taxable[code] -= of_basket
        record["taxes"] = [_tax(ways, code, amount) for code, amount in sorted(taxable.items())]
        for tax in record["taxes"]:
            if "rate" in tax:
                tax["taxable"] = taxable[tax["code"]] - tax["amount"]

    def _loyalty(self, record: Record, who: int) -> list[Record]:
        """The customer, and points asked for: the tender that pays with what the till grants."""
        if who < 0:
            return []
        customers, random = self._customers, self._random
        said: Record = {"customer": customers.ids[who]}
        record["loyalty"] = said
        if random() >= self._redemptions:
            return []
        points = customers.points[who]
        asked = 1 + int(random() * max(points, 20))
        point = ways_of(self._stores[self._at[record["store"]]].country).point
        granted = asked if asked <= points and point else 0
        said |= {"asked": asked, "granted": granted}
        return [{"kind": "points", "amount": granted * point}] if granted else []

    def _without_receipt(self, basket: Basket) -> None:
        """A single piece, at the list's price."""
        goods = basket.range.table[int(self._random() * DEPTH)]
        line: Record = {"scheme": goods.scheme, "code": goods.code, "category": goods.category}
        line["list_price"] = goods.price
        if goods.weighed:
            line |= {"quantity": 0.5, "unit": "kg"}
        paid = goods.price // 2 if goods.weighed else goods.price
        if goods.scheme == "barcode":
            line["code"] = label(goods.code, paid)
        basket.returned(line, paid, self._fate() if self._random() < 0.8 else None)

    def _fate(self) -> Record:
        draw, shares = self._random(), self.shares
        if draw < shares.waste:
            return {"reason": "stale", "fate": "waste"}
        if draw < shares.waste + shares.supplier:
            return {"reason": "faulty", "fate": "supplier"}
        return {"reason": ("unwanted", "wrong-item")[int(self._random() * 2)], "fate": "shelf"}

    def _elsewhere(self, home: int) -> int:
        """Another store, of the same country: nobody takes a foreign receipt. Tills of v1 know none of v2."""
        there = int(self._random() * len(self._stores))
        abroad = self._stores[there].country != self._stores[home].country
        return home if abroad or not self._by_v2[there] else there

    def _range(self, store: Store) -> Range:
        found = self._ranges.get(store.country)
        if found is None:
            found = Range(self._products, self._weights, ways_of(store.country), self.shares)
            self._ranges[store.country] = found
        return found


def _comes_back(line: Record) -> bool:
    """Whether a line is goods that were sold, and stands."""
    return line["kind"] == "sale" and not line.get("voided") and not line.get("correction")


def _paid_for(receipt: Record, line: Record) -> int:
    """What a line cost after discounts of the basket; a till rounds down what it gives back."""
    off, whole = 0, sum(o["amount"] for o in receipt["lines"] if not o.get("voided"))
    for one in receipt.get("discounts", ()):
        if one.get("line") == line["number"]:
            off += one["amount"]
        elif "line" not in one and whole > 0:
            off += -(-one["amount"] * line["amount"] // whole)
    return max(0, int(line["amount"]) - off)


def _token_of(receipt: Record) -> str:
    tokens = (one["card_token"] for one in receipt.get("tenders", ()) if "card_token" in one)
    return next(tokens, "")


def _tax(ways: Ways, code: str, amount: int) -> Record:
    if code not in ways.taxes:
        return {"code": code, "amount": 0}
    return {"code": code, "rate": ways.taxes[code], "amount": ways.included(code, amount)}


@lru_cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
