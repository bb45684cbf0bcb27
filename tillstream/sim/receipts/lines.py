"""Lines of a receipt: what is sold, with weights, promotions and what a cashier puts right; what comes back;
and what a till rings up besides goods."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from tillstream.sim.receipts.ways import Shares, Ways
from tillstream.sim.world import DEPTH, Product, draw_table

Record = dict[str, Any]
MOST_LINES = 12
PLU_FROM = 4_000  # of the simulated grocer: 4000 and so on, in the order of the price list
SCALE_PREFIX = (
    "21"  # of its scales' labels: two digits, five of the item, five of the price, one to check
)
OUTSIDE = "O"  # the tax code of what no tax is on
BOTTLE = 250  # deposit of one, in rand cents
BAG = 90
COUPON = "9900001000105"
OVERRIDES = ("damaged", "short-dated", "price-match")
AIRTIME = (("airtime", 2_900), ("airtime", 5_500), ("electricity", 10_000), ("lottery", 1_500),
           ("bill_payment", 35_000))  # fmt: skip


class Goods(NamedTuple):
    """A product in a country. ``price``: of a piece or a kilogram, in minor units."""

    scheme: str
    code: str
    category: str
    price: int
    tax: str
    weighed: bool


class Range:
    """What a country's stores sell, drawn by how well it sells."""

    def __init__(
        self, products: list[Product], weights: list[float], ways: Ways, shares: Shares
    ) -> None:
        self.ways = ways
        goods = [_goods(n, product, ways, shares) for n, product in enumerate(products)]
        self.table: list[Goods] = draw_table(goods, weights)
        self.tax_of = {one.code: one.tax for one in goods}

    def tax(self, line: Record) -> str:
        """The tax code of a line of an earlier receipt."""
        if line.get("taxes"):
            return str(line["taxes"][0]["code"])
        return self.tax_of.get(_item(line), next(iter(self.ways.taxes)))


def _goods(n: int, product: Product, ways: Ways, shares: Shares) -> Goods:
    price = max(1, int(product.unit_price_cents * ways.price))
    tax = ways.tax_of(product.category, product.name)
    # By the product's place, so that one is always sold in one way and its shelf has one unit.
    if product.category == "fruit-and-veg" and n % 20 < 20 * shares.weighed:
        return Goods("plu", str(PLU_FROM + n), product.category, price, tax, True)
    if product.category == "meat" and n % 20 < 20 * shares.scale:
        return Goods("barcode", f"{SCALE_PREFIX}{n:05d}", product.category, price, tax, True)
    return Goods("gtin", product.gtin, product.category, price, tax, False)


def _item(line: Record) -> str:
    """As `Goods` has its code: a scale's label without price."""
    code = str(line.get("code", ""))
    return code[:7] if line.get("scheme") == "barcode" and code[:2] == SCALE_PREFIX else code


def label(item: str, price: int) -> str:
    """What a scale prints; a price that does not fit is left to the till, and 0 there."""
    digits = f"{item}{price if price < 100_000 else 0:05d}"
    weighted = sum(int(d) * (3 if n % 2 else 1) for n, d in enumerate(digits))
    return digits + str(-weighted % 10)


class Basket:
    """A receipt's lines while it is rung up. ``taxed``: by line its tax code, as the lines stand."""

    def __init__(self, range_: Range, shares: Shares, rng: Random) -> None:
        self.range, self.ways, self.shares = range_, range_.ways, shares
        self.rng, self.random = rng, rng.random
        self.lines: list[Record] = []
        self.taxed: list[str] = []
        self.total = 0

    def goods(self, spend: float) -> None:
        """Goods for about ``spend`` (minor units), and what goes with them."""
        random, table, shares = self.random, self.range.table, self.shares
        until = self.total + spend
        while True:
            goods = table[int(random() * DEPTH)]
            line = self._sold(goods)
            draw = random()
            if draw < shares.voided:
                self.add(line | {"voided": True}, goods.tax)
            else:
                self.add(line, goods.tax)
                if draw < shares.voided + shares.corrected:
                    # Taken back as it was rung up: a till knows no other way.
                    back = {k: v for k, v in line.items() if k not in ("discounts", "number")}
                    self.add(back | {"amount": -line["amount"], "correction": True}, goods.tax)
                elif goods.category == "beverages" and random() < shares.deposit:
                    self._deposit(line)
            if self.total >= until or len(self.lines) >= MOST_LINES:
                return

    def extras(self) -> None:
        """What is rung up besides goods."""
        random, shares = self.random, self.shares
        if random() < shares.bag:
            self.other("fee", "BAG", BAG, next(iter(self.ways.taxes)))
        draw = random()
        if draw < shares.airtime:
            kind, cents = AIRTIME[int(random() * len(AIRTIME))]
            self._agency(kind, cents)
        elif draw < shares.airtime + shares.prize:
            self._agency("lottery", -20_000)
        draw = random()
        if draw < shares.gift_card:
            self.other("gift_card", "GIFT200", 20_000, OUTSIDE, category="gift-cards")
        elif draw < shares.gift_card + shares.empties:
            bottles = 1 + int(random() * 6)
            self.other("bottle_return", "BOTTLE", -bottles * BOTTLE, OUTSIDE, quantity=bottles)
        elif draw < shares.gift_card + shares.empties + shares.coupon and self.total > 0:
            off = min(self._minor(1_000), self.total // 2)
            tax = self.taxed[0] if self.taxed else OUTSIDE
            coupon = {"kind": "coupon", "scheme": "barcode", "code": COUPON, "amount": -off}
            self.add(coupon, tax)

    def other(self, kind: str, code: str, cents: int, tax: str, **more: Any) -> None:
        """A line of a code of the grocer's own; ``cents``: of rand."""
        amount = self._minor(abs(cents)) * (1 if cents >= 0 else -1)
        self.add({"kind": kind, "scheme": "sku", "code": code, "amount": amount, **more}, tax)

    def returned(self, line: Record, given_back: int, back: Record | None) -> None:
        """The goods of an earlier receipt's ``line``, or some. ``given_back``: what was paid for all."""
        quantity = line.get("quantity", 1)
        if line.get("unit", "each") == "each" and quantity > 1 and self.random() < 0.6:
            some = 1 + int(self.random() * quantity)
            given_back, quantity = given_back * some // quantity, some
        came: Record = {
            name: line[name]
            for name in ("unit", "scheme", "code", "category", "list_price")
            if name in line
        }
        came |= {"kind": "return", "quantity": quantity, "amount": -given_back}
        self.add(came if back is None else came | {"back": back}, self.range.tax(line))

    def add(self, line: Record, tax: str) -> None:
        line["number"] = len(self.lines) + 1
        self.lines.append(line)
        self.taxed.append(tax)
        if not line.get("voided"):
            self.total += line["amount"]

    def _sold(self, goods: Goods) -> Record:
        random, shares, price = self.random, self.shares, goods.price
        line: Record = {"kind": "sale", "scheme": goods.scheme, "code": goods.code}
        line["category"] = goods.category
        line["list_price"] = price
        draw = random()
        if goods.weighed:
            grams = 120 + int(random() * 1_800)
            amount = (2 * price * grams + 1_000) // 2_000
            line |= {"quantity": grams / 1000, "unit": "kg"}
        elif draw < shares.several:
            pays = max(1, int(2.4 * price))  # three for less than two and a half
            off = {"kind": "promotion", "promotion": f"3-FOR-{pays}", "amount": 3 * price - pays}
            return line | {"quantity": 3, "amount": pays, "discounts": [off]}
        else:
            pieces = 1 if draw < 0.6 else 2 if draw < 0.85 else 3 if draw < 0.95 else 6
            amount = price * pieces
            line["quantity"] = pieces
        draw = random()
        if draw < shares.promoted:
            off_cents = amount // (4 + int(random() * 6))
            promotion = f"PROMO-{int(random() * 40):03d}"
            line["discounts"] = [{"kind": "promotion", "promotion": promotion, "amount": off_cents}]
            amount -= off_cents
        elif draw < shares.promoted + shares.override and not goods.weighed:
            paid = max(1, price * 7 // 10)
            line |= {"price": paid, "override": OVERRIDES[int(random() * 3)]}
            amount = paid * line["quantity"]
        if goods.scheme == "barcode":
            line["code"] = label(goods.code, amount)
        line["amount"] = amount
        return line

    def _deposit(self, line: Record) -> None:
        bottles, of = line["quantity"], line["number"]
        self.other("deposit", "BOTTLE", bottles * BOTTLE, OUTSIDE, quantity=bottles, parent=of)

    def _agency(self, kind: str, cents: int) -> None:
        amount = self._minor(abs(cents)) * (1 if cents >= 0 else -1)
        line = {"kind": "agency", "agency": kind, "category": kind.replace("_", "-")}
        self.add(line | {"amount": amount}, OUTSIDE)

    def _minor(self, cents: int) -> int:
        return max(1, int(cents * self.ways.price))
