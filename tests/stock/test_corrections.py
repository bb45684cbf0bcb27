"""What others write into the stock table becomes a correction; what the job writes does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tillstream.domain.stock import movement as stock_movement
from tillstream.domain.stock.ledger import mark
from tillstream.domain.transaction import REASONS, InvalidTransaction
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


def test_a_correction_of_a_produce_code_is_of_its_shelf():
    new = image(15_000, 17, mark(17, 18_000)) | {"product": {"S": "plu-4011"}}
    made = correction(change(new, image(18_000, 17)))
    assert made is not None
    (line,) = stock_movement.lines(stock_movement.parse(made[1]))
    assert (made[0], line.product, line.quantity) == ("45/plu-4011", "plu-4011", 15_000)


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


def test_a_new_shelf_by_hand_that_has_all_it_takes_is_heard():
    new = image(12, 0, "", corrected_at_ms={"N": "1764072000123"})
    del new["version"], new["mark"]
    made = correction(change(new, None))
    assert made is not None
    assert stock_movement.parse(made[1]).lines[0].quantity == 12


def without(*names: str) -> dict:
    new = image(12, 0, "", corrected_at_ms={"N": "1764072000123"})
    return {name: value for name, value in new.items() if name not in names}


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (without("store", "product") | {"stock_key": {"S": "45/2000000000411"}}, "missing_field"),
        (without("product"), "missing_field"),
        (without() | {"store": {"S": "forty-five"}}, "bad_format"),
        (without() | {"store": {"S": "045"}}, "bad_format"),
        (without() | {"store": {"S": "3000"}}, "out_of_range"),
        (without() | {"product": {"S": "milk"}}, "bad_format"),
        (without() | {"corrected_at_ms": {"N": "1764072000"}}, "out_of_range"),
        (without() | {"quantity": {"N": "1000000001"}}, "out_of_range"),
        (without() | {"quantity": {"N": "9" * 25}}, "out_of_range"),
        (without() | {"corrected_at_ms": {"N": "9" * 38}}, "out_of_range"),
    ],
    ids=["no key", "no product", "store in words", "another key", "no such store", "product in words",
         "in seconds", "too many", "more than 64 bits", "a time of more than 64 bits"],
)  # fmt: skip
def test_what_a_person_wrote_and_nobody_can_use_has_a_reason(new, reason):
    with pytest.raises(InvalidTransaction) as refused:
        correction(change(new, None))
    assert refused.value.reason == reason


def test_without_a_time_of_counting_and_one_of_the_stream_it_is_not_usable():
    record = change(without("corrected_at_ms"), None)
    del record["dynamodb"]["ApproximateCreationDateTime"]
    with pytest.raises(InvalidTransaction, match="missing_field"):
        correction(record)


values = st.one_of(
    st.fixed_dictionaries({"S": st.text(max_size=20)}),
    st.fixed_dictionaries({"S": st.sampled_from(["45", "2000000000411", "²", "٤٥", "-1"])}),
    st.fixed_dictionaries({"N": st.integers(-(10**37), 10**37).map(str)}),
    st.fixed_dictionaries({"N": st.sampled_from(["1.5", "-0", "1e3", "0.1"])}),
    st.sampled_from([{"NULL": True}, {"BOOL": True}, {"L": []}, {"M": {}}, {"B": b"\xff"}]),
)
NAMES = ("store", "product", "quantity", "version", "mark", "corrected_at_ms", "shelf")


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_whatever_is_written_is_heard_or_left_or_has_a_reason(data):
    images = [
        {**image(12, 3, "by hand"), **data.draw(st.dictionaries(st.sampled_from(NAMES), values))}
        for _ in range(2)
    ]
    for one in images:
        for name in data.draw(st.sets(st.sampled_from(NAMES), max_size=2)):
            one.pop(name, None)
    record = change(*(one if data.draw(st.booleans()) else None for one in images))
    if data.draw(st.booleans()):
        del record["dynamodb"]["ApproximateCreationDateTime"]
    made, reason = None, "not_json"
    try:
        made = correction(record)
    except InvalidTransaction as error:
        reason = error.reason
    assert reason in REASONS
    if made is not None:
        key, raw = made
        movement = stock_movement.parse(raw)
        assert key == f"{movement.store}/{movement.lines[0].product}"
        new = record["dynamodb"]["NewImage"]
        assert new["store"]["S"] == str(movement.store)
        assert int(new["quantity"]["N"]) == movement.lines[0].quantity
