"""What one place may ask another for, by way of the topic of requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.sales import T0
from tillstream.domain.stock.actions import parse_request
from tillstream.domain.transaction import InvalidTransaction

ORDER: dict[str, Any] = {
    "type": "request", "request_id": "order:45/2000000000015/7", "ask": "order", "to": 9001,
    "asked_by": 45, "product": "2000000000015", "order_id": "order:45/2000000000015/7", "quantity": 12,
    "event_time_ms": T0, "emergency": False, "km": 12, "centres": [[9002, 30]],
    "tried": [{"centre": 9003, "km": 5, "had": 3, "gave": 3}],
}  # fmt: skip


def test_an_order_is_read():
    assert parse_request(json.dumps(ORDER).encode()).centres == ((9002, 30),)


@pytest.mark.parametrize(
    "changes",
    [
        {"centres": [[18446744073709551615, 5]]}, {"centres": [[-1, 5]]}, {"centres": [[9002, -5]]},
        {"tried": [ORDER["tried"][0] | {"gave": 18446744073709551615}]},
        {"tried": [ORDER["tried"][0] | {"centre": -1}]},
    ],
)  # fmt: skip
def test_what_its_next_hop_would_refuse_is_refused_at_once(changes):
    with pytest.raises(InvalidTransaction):
        parse_request(json.dumps(ORDER | changes).encode())
