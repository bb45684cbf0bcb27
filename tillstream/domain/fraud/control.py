"""Rule sets on their way into a running job, and what the job says to them.

The topic of rules holds `Order`s; the job keeps the last good one of each mode and answers every one
with an `Answer` from each of its subtasks. An order that cannot be used changes nothing.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from tillstream.domain.fraud.places import Places
from tillstream.domain.fraud.ruleset import InvalidRules, Rules, load_rules

Mode = Literal["live", "shadow", "shadow-off"]
MAX_ORDER_BYTES = 900_000  # a Kafka broker takes 1 MiB unless told otherwise


class Order(msgspec.Struct, frozen=True):
    """One push: JSON on the topic of rules, keyed by ``mode``.

    version: the rule set's, repeated, so that lists need not read it all. pushed_ms: by the pusher's
    clock. by: who pushed, a business id. rules: the rule set's JSON; null for ``shadow-off``.
    """

    mode: Mode
    version: str
    pushed_ms: int
    by: str
    rules: msgspec.Raw = msgspec.Raw(b"null")


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What one subtask did with an order: JSON on the topic of answers, keyed by ``origin``.

    origin: the order's place in its topic. problem: why it was refused, empty if it was not.
    """

    origin: str
    mode: str
    version: str
    accepted: bool
    problem: str
    subtask: int
    subtasks: int
    at_ms: int


class InForce(NamedTuple):
    """What a subtask judges with; replaced whole, never changed."""

    live: Rules
    shadow: Rules | None


class Refused(ValueError):
    """The order cannot be used; ``mode`` and ``version`` as far as they could be read."""

    def __init__(self, message: str, mode: str = "", version: str = "") -> None:
        super().__init__(message)
        self.mode, self.version = mode, version


_decode = msgspec.json.Decoder(Order).decode


def apply_order(raw: bytes, now: InForce, places: Places) -> tuple[Order, InForce]:
    """The order in ``raw`` and what is in force after it. Raises Refused, and nothing else."""
    if len(raw) > MAX_ORDER_BYTES:
        raise Refused(f"{len(raw)} bytes, more than {MAX_ORDER_BYTES}")
    try:
        order = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"not an order: {error}") from None
    if order.mode == "shadow-off":
        return order, now._replace(shadow=None)
    try:
        rules = load_rules(bytes(order.rules), places, now.live.rates)
    except InvalidRules as error:
        raise Refused(str(error)[:2000], order.mode, order.version[:64]) from None
    if rules.data.version != order.version:
        said = f"the order says version {order.version[:64]}, its rules {rules.data.version}"
        raise Refused(said, order.mode, order.version[:64])
    if order.mode == "live":
        return order, now._replace(live=rules)
    return order, now._replace(shadow=rules)
