"""Sales for tests of the fraud rules: a customer of habit, and whatever comes after."""

from __future__ import annotations

from typing import Any

from tests.support import sales
from tillstream.domain.fraud.decision import Decision
from tillstream.domain.fraud.ruleset import Rules
from tillstream.domain.fraud.sale import Sale, made_of
from tillstream.fraud.pure_job import PureJob
from tillstream.fraud.rules_file import packaged_rules
from tillstream.reference import packaged_clocks, packaged_rates

DAY = 86_400_000
HOUR = 3_600_000
MIDNIGHT = 20_400 * DAY - 2 * HOUR  # in Johannesburg
OWN, OTHER = "tok_7f3k9q2m5x8b1c4d", "tok_zzz1yyy2xxx3www4"
PLACES = packaged_clocks()
RULES = packaged_rules(PLACES, packaged_rates()).rules


def sale(
    number: int,
    at_ms: int,
    cents: int,
    store: int = 23,
    category: str = "groceries",
    pieces: int = 1,
    **other: Any,
) -> Sale:
    """A sale by customer 12345 with the own card, unless said otherwise."""
    method = other.pop("payment_method", "card")
    known = {
        "customer_id": "C0000012345",
        "card_token": OWN if method == "card" else None,
        "till": 4,
    }
    document = sales.sale(
        f"{store:04d}-04-{number:010d}", at_ms, cents, store=store, payment_method=method,
        product="6001000000066", pieces=pieces, category=category, **known | other,
    )  # fmt: skip
    return made_of(sales.checked(document))


class Shop:
    """The pure job, fed by hand."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.job = PureJob(rules or RULES)

    def takes(self, txn: Sale) -> Decision:
        decision = self.job.sale(txn, txn.event_time_ms)
        assert decision is not None
        return decision

    def has_a_customer(
        self, visits: int = 25, low: int = 30_000, high: int = 50_000, **other: Any
    ) -> list[Decision]:
        """Every other day between 18:00 and 20:00, each amount between ``low`` and ``high``."""
        return [
            self.takes(
                sale(
                    n,
                    MIDNIGHT + (2 * n - 60) * DAY + 18 * HOUR + n * 37 % 120 * 60_000,
                    low + n * 7_919 % (high - low),
                    **other,
                )
            )
            for n in range(visits)
        ]
