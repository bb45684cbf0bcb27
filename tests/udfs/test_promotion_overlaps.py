"""Two promotions of one product at different prices are told to those who make prices."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.harness import KeyedHarness
from tests.udfs.test_promotion_function import ANNOUNCED, T0
from tillstream.domain.envelope import seal
from tillstream.domain.notice import parse as parse_notice
from tillstream.domain.promotions.overlaps import MOST_OFFERS, Offer, Offers, TooMany, take
from tillstream.udfs.promotions import PassOn, PriceOverlaps
from tillstream.udfs.stage import StageSettings

DAY = 86_400_000
MILK, BREAD = "2000000000411", "6001240100035"
SETTINGS = StageSettings("promotions")


class Marketing:
    """Both stages one behind the other."""

    def __init__(self) -> None:
        self.once, self.prices = (
            KeyedHarness(PassOn(SETTINGS)),
            KeyedHarness(PriceOverlaps(SETTINGS)),
        )

    def announces(self, name: str, price: int | None, **changes) -> list[dict]:
        """The overlaps that follow from it."""
        document = {**ANNOUNCED, "promotion_id": name, "price_cents": price, **changes}
        raw = json.dumps({k: v for k, v in document.items() if v is not None}).encode()
        offers = self.once.side["offers"]
        before = len(offers)
        self.once.process(name, seal("kafka:promotions/0/1", T0, raw))
        made = []
        for offer in offers[before:]:
            product, _, change = offer.partition(b"\n")
            made += map(json.loads, self.prices.process(product.decode(), change))
        return made


def test_the_lower_of_two_prices_holds_and_pricing_is_told():
    marketing = Marketing()
    assert marketing.announces("milk-week-48", 1399) == []
    (found,) = marketing.announces(
        "black-friday", 1299, stores=[46, 47], end_ms=None or ANNOUNCED["end_ms"] + DAY
    )
    assert found["holds"] == {"promotion_id": "black-friday", "revision": 1, "price_cents": 1299}
    assert found["gives_way"]["promotion_id"] == "milk-week-48"
    assert (found["product"], found["stores"]) == (MILK, [46])
    assert (found["from_ms"], found["until_ms"]) == (ANNOUNCED["start_ms"], ANNOUNCED["end_ms"])
    (notice,) = map(parse_notice, marketing.prices.side["notices"])
    assert (notice.recipient, notice.template) == ("team:pricing", "promotions_overlap")
    assert notice.params["price"] == 1299


@pytest.mark.parametrize("changes", [
    {"price_cents": 1399}, {"price_cents": None}, {"stores": [47]}, {"products": [BREAD]},
    {"start_ms": ANNOUNCED["end_ms"], "end_ms": ANNOUNCED["end_ms"] + DAY},
    {"status": "cancelled"}, {"schema": 2, "currency": "NAD"},
])  # fmt: skip
def test_what_does_not_meet_does_not_overlap(changes):
    marketing = Marketing()
    marketing.announces("milk-week-48", 1399, schema=2, currency="ZAR")
    price = changes.get("price_cents", 1299)
    other = {k: v for k, v in changes.items() if k != "price_cents"}
    assert marketing.announces("black-friday", price, **other) == []


def test_one_that_is_everywhere_overlaps_where_the_other_is():
    marketing = Marketing()
    marketing.announces("milk-week-48", 1399)
    (found,) = marketing.announces("black-friday", 1499, stores=None)
    assert (found["stores"], found["holds"]["promotion_id"]) == ([45, 46], "milk-week-48")
    (everywhere,) = [one for one in marketing.announces("cyber-monday", 999, stores=None)
                     if one["stores"] is None]  # fmt: skip
    assert everywhere["gives_way"]["promotion_id"] == "black-friday"


def test_a_price_without_a_currency_is_compared_with_any_by_its_number():
    marketing = Marketing()
    marketing.announces("milk-week-48", 1399)
    (found,) = marketing.announces("black-friday", 1299, schema=2, currency="ZAR")
    assert found["currency"] is None


def test_what_a_revision_no_longer_names_and_what_is_cancelled_overlaps_no_more():
    marketing = Marketing()
    marketing.announces("milk-week-48", 1399, products=[MILK, BREAD])
    marketing.announces("milk-week-48", 1399, revision=2)
    assert marketing.announces("bread-day", 999, products=[BREAD]) == []
    marketing.announces("milk-week-48", 1399, revision=3, status="cancelled")
    assert marketing.announces("black-friday", 1299) == []


def test_a_revision_sent_again_tells_nothing_twice():
    marketing = Marketing()
    marketing.announces("milk-week-48", 1399)
    assert len(marketing.announces("black-friday", 1299)) == 1
    assert marketing.announces("black-friday", 1299) == []
    (again,) = marketing.announces("black-friday", 1289, revision=2)
    assert again["overlap_id"] == f"black-friday/2~milk-week-48/1/{MILK}"


def test_500_products_in_both_are_one_thing_to_decide():
    marketing = Marketing()
    products = [f"{n:08d}" for n in range(10_000_000, 10_000_500)]
    marketing.announces("milk-week-48", 1399, products=products)
    assert len(marketing.announces("black-friday", 1299, products=products)) == 500
    ids = {parse_notice(one).notice_id for one in marketing.prices.side["notices"]}
    assert ids == {"promotions_overlap:team:pricing:black-friday/1~milk-week-48/1"}


def test_more_than_are_compared_are_a_dead_letter_and_what_is_over_is_forgotten():
    known = None
    for n in range(MOST_OFFERS):
        known, found = take(known, MILK, Offer(f"offer-{n:03d}", 1, T0, T0 + DAY, 100), T0)
        assert found == []
    after, found = take(known, MILK, Offer("one-more", 1, T0, T0 + DAY, 99), T0)
    assert isinstance(found, TooMany)
    assert after == known
    later, found = take(after, MILK, Offer("one-more", 1, T0 + DAY, T0 + 2 * DAY, 99), T0 + DAY)
    assert ([one.promotion_id for one in later.offers], found) == (["one-more"], [])


offers = st.builds(
    Offer, st.sampled_from(["a", "b", "c", "d"]), st.integers(1, 3), st.integers(0, 5), st.integers(6, 9),
    st.sampled_from([None, 1, 2]), st.sampled_from([None, "ZAR", "NAD"]),
    st.sampled_from([None, (1, 2), (2, 3)]),
)  # fmt: skip


@given(st.lists(offers, max_size=12))
def test_each_overlap_is_between_two_that_are_kept_at_its_time(announced):
    known: Offers | None = None
    for offer in announced:
        known, found = take(known, MILK, offer, 0)
        names = [one.promotion_id for one in known.offers]
        assert len(names) == len(set(names))
        assert (offer.promotion_id in names) == (offer.price is not None)
        assert not isinstance(found, TooMany)
        for one in found:
            assert one.holds.price_cents < one.gives_way.price_cents
            assert one.from_ms < one.until_ms
            assert {one.holds.promotion_id, one.gives_way.promotion_id} <= set(names)
