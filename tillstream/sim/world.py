"""The simulated world: stores, products, profiles of a day, and customers with habits."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import yaml

from tillstream.errors import Problem
from tillstream.sim.receipts.ways import Shares

HERE = Path(__file__).parent
DEPTH = 4096  # entries of a table for weighted draws: one random number, no search


class UnknownProfile(Problem):
    """No such profile; the message names those that exist."""


class Store(msgspec.Struct, frozen=True):
    number: int = msgspec.field(name="store")
    region: str
    country: str
    currency: str
    zone: str


class Product(msgspec.Struct, frozen=True):
    gtin: str = msgspec.field(name="product")
    name: str
    category: str
    unit_price_cents: int
    popularity: float


@dataclass(frozen=True)
class Profile:
    """Shares are fractions of new transactions; ``rate`` is transactions a second. v2: of receipts of
    contract v2 alone."""

    name: str
    rate: float
    spend: float
    anonymous: float
    refunds: float
    voids: float
    redemptions: float
    payment: dict[str, float]
    categories: dict[str, float]
    v2: Shares


def profile_names() -> list[str]:
    return list(_profiles())


def load_profile(name: str) -> Profile:
    known = _profiles()
    if name not in known:
        raise UnknownProfile(f"no profile {name!r}; there are {', '.join(known)}")
    v2 = msgspec.convert(known[name]["v2"], Shares)
    return Profile(name=name, **known[name] | {"v2": v2})


def load_stores() -> list[Store]:
    return msgspec.convert(rows("stores.csv"), list[Store], strict=False)


def load_products() -> list[Product]:
    return msgspec.convert(rows("products.csv"), list[Product], strict=False)


def draw_table(items: list[Any], weights: list[float]) -> list[Any]:
    """DEPTH entries in proportion to ``weights``: ``table[int(random() * DEPTH)]`` is a draw."""
    ends = list(accumulate(weights))
    table = []
    at = 0
    for n in range(DEPTH):
        while ends[at] < (n + 0.5) / DEPTH * ends[-1]:
            at += 1
        table.append(items[at])
    return table


class Customers:
    """Who comes: each customer has a home store, a level of spending and a favourite hour.

    Ids are C and ten digits; the first four come from the seed, so runs of different seeds against
    one stream do not meet.
    """

    HOURS = (8, 9, 10, 11, 12, 12, 13, 15, 16, 16, 17, 17, 17, 18, 18, 19)

    def __init__(self, count: int, seed: int, stores: list[Store]) -> None:
        if not 1 <= count <= 1_000_000:
            raise ValueError("--customers must be 1 to 1,000,000")
        rng = Random(f"customers {seed}")
        random = rng.random
        first = Random(f"ids {seed}").randrange(10_000) * 1_000_000
        self.ids = [f"C{first + n:010d}" for n in range(count)]
        self.home = [int(random() * len(stores)) for _ in range(count)]
        # R200 to R500 a visit is typical; a few spend much more
        self.spend_cents = [
            int((20_000 + 30_000 * random()) * (3 if random() < 0.03 else 1)) for _ in range(count)
        ]
        self.hour = [self.HOURS[int(random() * len(self.HOURS))] for _ in range(count)]
        self.token = [_token(rng) for _ in range(count)]
        # Points as far as the simulator needs to know them, to redeem more or less than there are.
        self.points = [0] * count


def _token(rng: Random) -> str:
    # no digits in a row: a token must not look like a card number by accident
    return "tok_" + "".join(f"{chr(97 + rng.randrange(26))}{rng.randrange(10)}" for _ in range(10))


def _profiles() -> dict[str, Any]:
    return yaml.safe_load((HERE / "profiles.yaml").read_text())


def rows(name: str) -> list[dict[str, str]]:
    with (HERE / "data" / name).open(newline="") as file:
        return list(csv.DictReader(file))
