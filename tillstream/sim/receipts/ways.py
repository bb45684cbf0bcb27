"""What differs by profile and by country: shares of what happens at tills, taxes, coins."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec
import yaml

from tillstream.errors import Problem

HERE = Path(__file__).parent


class UnknownCountry(Problem):
    """No ways of this country; the message says where they are."""


class Shares(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fractions, of receipts unless said otherwise; what each is based on is in profiles.yaml."""

    stores: float
    # of products
    weighed: float
    scale: float
    # of lines of goods
    promoted: float
    several: float
    override: float
    voided: float
    corrected: float
    deposit: float
    # what else is on a receipt
    bag: float
    empties: float
    airtime: float
    prize: float
    gift_card: float
    coupon: float
    staff: float
    off_basket: float
    # how it is paid
    two_tenders: float
    declined: float
    cashback: float
    rand: float
    # of what comes back
    receiptless: float
    exchange: float
    elsewhere: float
    other_card: float
    no_card: float
    waste: float
    supplier: float
    # of what is sold
    swap: float
    # of all
    tax_by_line: float
    offline: float
    training: float
    channels: dict[str, float]
    payment: dict[str, float]


class Ways(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a country; `countries.yaml` says what each is."""

    price: float
    taxes: dict[str, float]
    lower: dict[str, list[str]]
    cash: int
    note: int
    point: int
    down: bool = False
    rand: bool = False
    fiscal: bool = False

    def tax_of(self, category: str, name: str) -> str:
        """The code for goods of this category and name."""
        kind = name.rpartition(" ")[0]
        for code, goods in self.lower.items():
            if category in goods or kind in goods:
                return code
        return next(iter(self.taxes))

    def included(self, code: str, amount: int) -> int:
        """How much of ``amount`` is tax, half a unit up; the same backwards for what comes back."""
        thousandths = round(self.taxes.get(code, 0) * 1000)
        whole = 100_000 + thousandths
        tax = (2 * abs(amount) * thousandths + whole) // (2 * whole)
        return tax if amount >= 0 else -tax


@lru_cache
def ways_of(country: str) -> Ways:
    """Raises UnknownCountry."""
    known = _countries()
    if country not in known:
        raise UnknownCountry(
            f"no ways of tills in {country}: add them to {HERE / 'countries.yaml'}"
        )
    return known[country]


@lru_cache
def _countries() -> dict[str, Ways]:
    said = yaml.safe_load((HERE / "countries.yaml").read_text())
    return msgspec.convert(said, dict[str, Ways])
