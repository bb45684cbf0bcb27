"""What goes back to which topic: the contract of every topic that a job reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tillstream.catalog import topics
from tillstream.conf import Conf
from tillstream.dead_letters.model import Contract
from tillstream.domain.fraud.decision import parse_label
from tillstream.domain.promotions import promotion
from tillstream.domain.shortage.events import parse_change
from tillstream.domain.stock import movement
from tillstream.domain.stock.actions import parse_request

# By the topic's id; None: whoever sent it sends it again, fraud rules by `tillstream rules push`.
READERS: dict[str, Callable[[bytes], Any] | None] = {
    topics.STOCK_MOVEMENTS.id: movement.parse,
    topics.STOCK_REQUESTS.id: parse_request,
    topics.STOCK_CHANGES.id: parse_change,
    topics.PROMOTIONS.id: promotion.parse,
    topics.PROMOTIONS_INVENTORY.id: promotion.parse,
    topics.FRAUD_LABELS.id: parse_label,
    topics.FRAUD_RULES.id: None,
}


def contracts(conf: Conf) -> dict[str, Contract]:
    """By the topic's name in this deployment."""
    read = ((topics.BY_ID[name], reader) for name, reader in READERS.items())
    return {conf.topic(topic): Contract(reader, topic.key) for topic, reader in read}
