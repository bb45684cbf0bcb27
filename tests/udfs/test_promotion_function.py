"""Promotions in the harness: each revision to each reader once, in order, and none lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import ROOT
from tests.support.harness import KeyedHarness
from tillstream.domain.envelope import seal
from tillstream.domain.promotions.copies import Known, pass_on
from tillstream.domain.promotions.promotion import lines, parse, take, uplift
from tillstream.state_schemas.keyed import promotion_known
from tillstream.udfs.promotions import PassOn
from tillstream.udfs.stage import StageSettings

SCHEMAS = ROOT / "state_schemas" / "events"
ANNOUNCED = json.loads(
    (SCHEMAS / "promotion/examples/valid/in_two_stores_at_a_price.json").read_bytes()
)
T0 = ANNOUNCED["announced_ms"]
NAME = ANNOUNCED["promotion_id"]


def announced(harness: KeyedHarness, revision: int, **changes) -> dict[str, dict]:
    """The copies by reader, of the inventory's the first."""
    copies = every_copy(harness, revision, **changes)
    return dict(reversed(copies))


def every_copy(harness: KeyedHarness, revision: int, **changes) -> list[tuple[str, dict]]:
    document = {**ANNOUNCED, "revision": revision, **changes}
    raw = json.dumps(
        {name: value for name, value in document.items() if value is not None}
    ).encode()
    made = harness.process(NAME, seal(f"kafka:promotions/0/{revision}", T0, raw))
    return [
        (copy.partition(b"|")[0].decode(), json.loads(copy.partition(b"\n")[2])) for copy in made
    ]


def fresh() -> KeyedHarness:
    return KeyedHarness(PassOn(StageSettings("promotions")))


def test_each_reader_gets_its_own_copy():
    copies = announced(fresh(), 1)
    assert set(copies) == {"inventory", "marketing", "pricing", "analytics"}
    assert parse(json.dumps(copies["inventory"]).encode()).uplift_percent == 150
    assert copies["pricing"]["price_cents"] == 1399
    assert "uplift_percent" not in copies["pricing"]
    assert copies["marketing"]["accepted_ms"] == T0
    assert copies["analytics"]["origin"] == "kafka:promotions/0/1"


def test_the_same_revision_again_is_passed_on_once():
    harness = fresh()
    assert announced(harness, 1)
    assert announced(harness, 1) == {}
    assert not harness.side["dead-letters"]


def test_an_outdated_revision_is_not_passed_on_and_not_lost():
    harness = fresh()
    announced(harness, 1)
    assert announced(harness, 3)["marketing"]["missing"] == 1
    assert announced(harness, 2) == {}
    (letter,) = map(json.loads, harness.side["dead-letters"])
    assert (letter["reason"], letter["stage"]) == ("outdated", "apply")


def test_a_revision_with_other_content_is_told():
    harness = fresh()
    assert announced(harness, 2)
    assert announced(harness, 2, announced_ms=T0 + 1) == {}  # sent again
    assert announced(harness, 2, uplift_percent=151) == {}
    (letter,) = map(json.loads, harness.side["dead-letters"])
    assert (letter["reason"], letter["stage"]) == ("id_conflict", "apply")
    assert announced(harness, 3, uplift_percent=151)


def test_a_revision_that_a_release_noted_without_its_content_takes_any_for_a_repeat():
    before = promotion_known.CODEC.writer({"promotion_known": 1})(Known(2, b"12345678"))
    known = promotion_known.decode(before)
    found = parse(json.dumps({**ANNOUNCED, "revision": 2}).encode())
    assert known == Known(2)
    assert pass_on(known, found, T0, "kafka:promotions/0/2") == (None, [])


def test_a_promotion_may_begin_in_the_future_but_not_be_announced_there():
    harness, year_ms = fresh(), 365 * 86_400_000
    assert announced(harness, 1, start_ms=T0 + year_ms, end_ms=T0 + 2 * year_ms)
    assert announced(harness, 2, announced_ms=T0 + 3_600_000) == {}
    (letter,) = map(json.loads, harness.side["dead-letters"])
    assert letter["reason"] == "clock_ahead"


def test_released_bytes_are_read_and_written_as_ever():
    golden = (SCHEMAS.parent / "keyed/promotion_known/golden/v1-third-revision.bin").read_bytes()
    assert promotion_known.decode(golden) == Known(3)
    assert promotion_known.CODEC.writer({"promotion_known": 1})(Known(3)) == golden


BREAD, MILK, RICE = PRODUCTS = ("6001240100035", "6001240100042", "6001240100059")
STORES = (12, 45, 200)


@pytest.mark.parametrize("changes", [
    {"products": [BREAD]}, {"stores": [12]}, {"products": [RICE]}, {"products": [BREAD], "stores": [12]},
    {"status": "cancelled", "products": [RICE]},
])  # fmt: skip
def test_where_a_revision_no_longer_puts_it_the_promotion_is_cancelled(changes):
    harness = fresh()
    every_copy(harness, 1, products=[BREAD, MILK], stores=[12, 45])
    copies = every_copy(harness, 2, **{"products": [BREAD, MILK], "stores": [12, 45]} | changes)
    first, second = (copy for reader, copy in copies if reader == "inventory")
    assert first["status"] == changes.get("status", "planned")
    assert (second["status"], second["revision"]) == ("cancelled", 2)
    assert (second["products"], second["stores"]) == ([BREAD, MILK], [12, 45])
    assert [reader for reader, _ in copies].count("pricing") == 1


@pytest.mark.parametrize("changes", [
    {}, {"products": [BREAD, MILK, RICE]}, {"stores": None}, {"uplift_percent": 300},
    {"status": "cancelled"},
])  # fmt: skip
def test_a_revision_that_names_all_of_it_needs_no_second_copy(changes):
    harness = fresh()
    every_copy(harness, 1, products=[BREAD, MILK], stores=[12, 45])
    copies = every_copy(harness, 2, **{"products": [BREAD, MILK], "stores": [12, 45]} | changes)
    assert [reader for reader, _ in copies].count("inventory") == 1


places = st.tuples(
    st.sets(st.sampled_from(PRODUCTS), min_size=1),
    st.none() | st.sets(st.sampled_from(STORES), min_size=1),
    st.sampled_from(["planned", "planned", "cancelled"]),
)


@given(st.lists(places, min_size=1, max_size=6))
def test_on_each_shelf_holds_what_the_newest_revision_says_of_it(revisions):
    """By way of all copies, in their order, as the inventory and the shortage job take them."""
    harness = fresh()
    shelves = {(store, product): [] for store in STORES for product in PRODUCTS}
    for revision, (products, stores, status) in enumerate(revisions, start=1):
        where = {
            "products": sorted(products),
            "stores": stores and sorted(stores),
            "status": status,
        }
        for reader, copy in every_copy(harness, revision, **where):
            if reader != "inventory":
                continue
            for line in lines(parse(json.dumps(copy).encode()), STORES):
                shelf = line.store, line.product
                shelves[shelf] = take(shelves[shelf], line.promotion, T0)
    products, stores, status = revisions[-1]
    for (store, product), known in shelves.items():
        named = product in products and (stores is None or store in stores)
        expected = ANNOUNCED["uplift_percent"] if named and status == "planned" else 100
        assert uplift(known, ANNOUNCED["start_ms"], 0)[0] == expected
    assert not harness.side["dead-letters"]
