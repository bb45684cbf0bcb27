"""What `tillstream stock` says."""

from __future__ import annotations

from typing import Any

from tillstream.stock.view import describe

NOW = 1_764_072_000_000
DAY = 86_400_000


def item(**changes: Any) -> dict[str, Any]:
    return {
        "store": "45", "product": "2000000000411", "quantity": 12, "version": 931,
        "event_time_ms": NOW, "kind": "sale", "entry_id": "0045-03-20251125-000001/1",
        "below_zero": "false", "low": "true", "reorder_point": 88, "order_up_to": 214,
        "on_order": 202, "daily_demand_milli": 60_000, "uplift_percent": 100,
        "run_out_ms": NOW + DAY // 5, "open_orders": f"45-2000000000411-000001:202:{NOW}",
    } | changes  # fmt: skip


def test_level_run_out_terms_and_open_orders_are_said_with_their_reasons():
    said = "\n".join(describe(item(), NOW))
    assert "store 45, product 2000000000411: 12 left" in said
    assert "in 0.2 days, at 60.0 pieces a day" in said
    assert "at 88 or less including what is on order, up to 214; low" in said
    assert "on order: 202 pieces, order 45-2000000000411-000001" in said


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
