"""What goes back to which topic: the contract of every topic that a job reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tillstream.catalog import topics
from tillstream.conf import Conf
from tillstream.dead_letters.model import TILLS, Contract, Named, of_our_contracts
from tillstream.domain.fraud.asking import parse_reply
from tillstream.domain.fraud.decision import parse_label
from tillstream.domain.loyalty.adjustments import parse_adjustment, parse_transfer
from tillstream.domain.loyalty.held import parse_order
from tillstream.domain.loyalty.holds import parse_request as parse_request_of_points
from tillstream.domain.loyalty.households import parse_household
from tillstream.domain.mapping.known import Known
from tillstream.domain.promotions import promotion
from tillstream.domain.receipt.canonical import Receipt
from tillstream.domain.receipt.currencies import refuse_other
from tillstream.domain.receipt.parse import is_v2, parse
from tillstream.domain.receipt.reading import reader
from tillstream.domain.receipt.tax_rates import refuse as refuse_tax_rates
from tillstream.domain.shortage.events import parse_change
from tillstream.domain.stock import assortment, movement
from tillstream.domain.stock.actions import parse_request
from tillstream.domain.transaction import InvalidTransaction
from tillstream.intake import mappings
from tillstream.reference import known_stores

# By the topic's id; None: whoever sent it sends it again, fraud rules by `tillstream rules push`.
READERS: dict[str, Callable[[bytes], Any] | None] = {
    topics.TRANSACTIONS.id: reader(Receipt),
    topics.POINTS_REQUESTS.id: parse_request_of_points,
    topics.LOYALTY_ADJUSTMENTS.id: parse_adjustment,
    topics.POINTS_TRANSFERS.id: parse_transfer,
    topics.HOLDS.id: parse_order,
    topics.HOUSEHOLDS.id: parse_household,
    topics.STOCK_MOVEMENTS.id: movement.parse,
    topics.STOCK_REQUESTS.id: parse_request,
    topics.STOCK_CHANGES.id: parse_change,
    topics.ASSORTMENT.id: assortment.parse,
    topics.PROMOTIONS.id: promotion.parse,
    topics.PROMOTIONS_INVENTORY.id: promotion.parse,
    topics.FRAUD_LABELS.id: parse_label,
    topics.FRAUD_REPLIES.id: parse_reply,
    topics.FRAUD_RULES.id: None,
}


class _Priced(msgspec.Struct):
    currency: str


_priced = msgspec.json.Decoder(_Priced).decode


def contracts(conf: Conf) -> dict[str, Contract]:
    """By the topic's name in this deployment."""
    named = ((topics.BY_ID[name], read) for name, read in READERS.items())
    found = {conf.topic(topic): Contract(read, topic.key) for topic, read in named}
    return found | {TILLS: Contract(_of_tills(conf), "")}


def _of_tills(conf: Conf) -> Callable[[bytes], Named]:
    """Reads what the front door would: both contracts, and what a mapping knows."""
    known = Known(map(mappings.load, conf.intake.mappings))
    stores = known_stores(conf)

    def read(raw: bytes) -> Named:
        try:
            found = of_our_contracts(raw)
        except InvalidTransaction as error:
            told = error
        else:
            place = stores.of(found.store)  # or it would be refused again
            if conf.intake.other_currencies == "refuse":
                refuse_other(_priced(raw).currency, place.currency, place.country)
            if conf.intake.tax_rates == "refuse" and is_v2(raw):
                refuse_tax_rates(parse(raw))
            return found
        try:
            mapper, documents = known.of(raw)
        except InvalidTransaction:
            raise told from None
        for one in mapper.transactions(raw, stores.get, documents=documents):
            if one.problem:
                raise one.problem
            if one.receipt:
                own = one.receipt.transaction_id
                return Named(own, own, one.receipt.store)
        raise InvalidTransaction("no_lines", "nothing in it is a transaction")

    return read
