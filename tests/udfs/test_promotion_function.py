"""Promotions in the harness: each revision to each reader once, in order, and none lost."""

from __future__ import annotations

import json

from tests.support import ROOT
from tests.support.harness import KeyedHarness
from tillstream.domain.envelope import seal
from tillstream.domain.promotions.copies import Known, pass_on
from tillstream.domain.promotions.promotion import parse
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
    """The copies by reader."""
    raw = json.dumps({**ANNOUNCED, "revision": revision, **changes}).encode()
    made = harness.process(NAME, seal(f"kafka:promotions/0/{revision}", T0, raw))
    heads = [copy.partition(b"|")[0].decode() for copy in made]
    return {
        head: json.loads(copy.partition(b"\n")[2]) for head, copy in zip(heads, made, strict=True)
    }


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
    assert pass_on(known, found, T0, "kafka:promotions/0/2") == (None, {})


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
