"""What others write into the stock table becomes a correction; what the job writes does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tillstream.domain.stock import movement as stock_movement
from tillstream.domain.stock.ledger import mark
from tillstream.stock.corrections import correction

NOON = datetime(2025, 11, 25, 12, 0, 0, tzinfo=UTC)


def image(quantity: int, version: int, wrote: str | None = None, **more) -> dict:
    return {
        "store": {"S": "45"},
        "product": {"S": "2000000000411"},
        "quantity": {"N": str(quantity)},
        "version": {"N": str(version)},
        "mark": {"S": wrote if wrote is not None else mark(version, quantity)},
        **more,
    }


def change(new: dict | None, old: dict | None) -> dict:
    images = {"NewImage": new, "OldImage": old}
    return {
        "dynamodb": {
            "SequenceNumber": "000000000000000000042",
            "ApproximateCreationDateTime": NOON,
            **{name: there for name, there in images.items() if there is not None},
        }
    }


def test_a_manager_who_changes_the_quantity_alone_is_heard():
    made = correction(change(image(150, 17, mark(17, 200)), image(200, 17)))
    assert made is not None
    key, raw = made
    assert key == "45/2000000000411"
    movement = stock_movement.parse(raw)
    assert (movement.kind, movement.store, movement.lines[0].quantity) == ("correction", 45, 150)
    assert movement.event_time_ms == int(NOON.timestamp() * 1000)
    assert movement.document_id == "d-000000000000000000042"


def test_when_it_was_counted_counts_if_the_manager_says_so():
    new = image(150, 17, mark(17, 200), corrected_at_ms={"N": "1764072000123"})
    made = correction(change(new, image(200, 17)))
    assert made is not None
    assert json.loads(made[1])["event_time_ms"] == 1_764_072_000_123


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (image(199, 18), image(200, 17)),
        (image(200, 1), None),
        (image(199, 18), image(150, 17, mark(17, 200))),
        (image(200, 17, mark(17, 200), shelf={"S": "B7"}), image(200, 17)),
        (image(-4, 17, mark(17, 200)), image(200, 17)),
        (None, image(200, 17)),
    ],
    ids=[
        "a sale",
        "a first item",
        "over a correction",
        "another attribute",
        "below zero",
        "removed",
    ],
)
def test_no_echo_of_our_own_writes_and_nothing_that_is_no_count(new, old):
    assert correction(change(new, old)) is None
