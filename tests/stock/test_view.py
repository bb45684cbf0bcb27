"""What `tillstream stock` says."""

from __future__ import annotations

from typing import Any

from click.testing import CliRunner

from tillstream.cli import main
from tillstream.stock.view import describe

NOW = 1_764_072_000_000
DAY = 86_400_000


def item(**changes: Any) -> dict[str, Any]:
    return {
        "store": "45", "product": "2000000000411", "quantity": 12, "version": 931,
        "event_time_ms": NOW, "kind": "sale", "entry_id": "0045-03-20251125-000001/1",
        "below_zero": "false", "low": "true", "reorder_point": 88, "order_up_to": 214,
        "on_order": 202, "daily_demand_milli": 60_000, "uplift_percent": 100,
        "unit": "each", "run_out_ms": NOW + DAY // 5, "open_orders": f"45-2000000000411-000001:202:{NOW}",
    } | changes  # fmt: skip


def test_level_run_out_terms_and_open_orders_are_said_with_their_reasons():
    said = "\n".join(describe(item(), NOW))
    assert "store 45, product 2000000000411: 12 pieces left" in said
    assert "in 0.2 days, at 60.0 pieces a day" in said
    assert "at 88 pieces or less including what is on order, up to 214 pieces; low" in said
    assert "on order: 202 pieces, order 45-2000000000411-000001" in said


def test_bananas_are_said_in_kilograms_and_counted_in_grams():
    """They were "60000.0 pieces a day"."""
    said = "\n".join(
        describe(
            item(product="plu-4011", unit="kg", quantity=4_488, daily_demand_milli=60_000_000,
                 reorder_point=88_000, order_up_to=214_000,
                 open_orders=f"45-plu-4011-000001:15512:{NOW}"),
            NOW,
        )
    )  # fmt: skip
    assert "product plu-4011: 4.488 kg left" in said
    assert "at 60.0 kg a day" in said
    assert "at 88 kg or less including what is on order, up to 214 kg" in said
    assert "on order: 15.512 kg, order 45-plu-4011-000001" in said
    assert "pieces" not in said


def test_a_unit_that_the_last_line_did_not_say_is_not_made_up():
    said = "\n".join(describe(item(kind="delivery", unit=None), NOW))
    assert "product 2000000000411: 12 left" in said
    assert "at 60.0 a day" in said
    assert "on order: 202, order" in said
    assert "pieces" not in said


def test_an_order_that_expired_after_the_last_line_is_said_to_be():
    said = "\n".join(describe(item(), NOW + 97 * 3_600_000))
    assert "on order: nothing (202 pieces of order 45-2000000000411-000001 have expired)" in said


def test_a_shelf_that_was_never_counted_is_said_to_be():
    said = describe(item(counted_ms=-1, quantity=-7), NOW)
    assert "never counted: its level is a sum from nothing, please count" in said
    assert not any(line.startswith("below zero") for line in said)


def test_what_is_not_known_is_said_to_be_unknown():
    new = item(reorder_point=-1, order_up_to=0, open_orders="", low="false")
    del new["run_out_ms"]
    said = "\n".join(describe(new, NOW))
    assert "runs out: not known" in said
    assert "none yet" in said
    assert "on order: nothing" in said


def test_less_than_nothing_asks_for_a_count():
    assert any("please count" in line for line in describe(item(quantity=-2), NOW))


def test_a_promotion_is_named_in_the_demand():
    said = "\n".join(describe(item(uplift_percent=150), NOW))
    assert "at 90.0 pieces a day, including 50 % for a promotion" in said


def test_a_store_s_never_counted_shelves_are_listed_best_sellers_first(monkeypatch):
    def found(client: Any, table: str, name: str, value: str) -> list[dict[str, Any]]:
        assert (name, value) == ("store", "45")
        return [
            item(product="2000000000411", counted_ms=NOW),
            item(product="2000000000015", counted_ms=-1, daily_demand_milli=0, quantity=-1),
            item(product="2000000000022", counted_ms=-1, daily_demand_milli=96_500, quantity=-190),
            item(product="plu-4011", counted_ms=-1, daily_demand_milli=8_000_000, unit="kg"),
            item(product="name-tea", counted_ms=-1),
            item(product="2000000000039"),  # of the release before: not known until its next line
        ]

    monkeypatch.setattr("tillstream.stock.view.clients.dynamodb", lambda conf: None)
    monkeypatch.setattr("tillstream.stock.view.items.query", found)
    done = CliRunner().invoke(main, ["stock", "never-counted", "45"])
    assert done.exit_code == 0, done.output
    assert [row.split() for row in done.output.splitlines()[1:4]] == [
        ["2000000000022", "96.5", "-190"],
        ["plu-4011", "8.0", "12"],
        ["2000000000015", "-", "-1"],
    ]
    assert "3 in store 45 were never counted" in done.output
