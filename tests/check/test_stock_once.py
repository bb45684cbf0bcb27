"""What was sent twice: a fault, for all the inventory job's actions go exactly once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tillstream.catalog.resources import Topic
from tillstream.check.report import Report
from tillstream.check.stock import ACTIONS, _once


def found(**topics: list[dict[str, Any]]) -> Report:
    def documents(topic: Topic) -> list[dict[str, Any]]:
        return topics.get(topic.id, [])

    assert set(topics) <= set(ACTIONS)
    report = Report()
    _once(SimpleNamespace(documents=documents), report)
    return report


def notice(template: str, **changes: Any) -> dict[str, Any]:
    return {"notice_id": f"{template}:store:45:1", "template": template, "params": {}} | changes


def test_the_same_id_with_other_content_is_a_difference():
    report = found(stock_notices=[notice("low_stock"), notice("low_stock", params={"n": 1})])
    assert not report.ok
    assert report.differences[0].where == "stock_notices"
    assert report.differences[0].cause == "sent again with other content"


def test_what_the_inventory_job_sends_comes_once():
    order = {"order_id": "o-1", "line_id": "o-1/1", "quantity": 3}
    report = found(stock_orders=[order, order], stock_notices=[notice("low_stock")] * 2)
    assert report.count == 2
    assert {d.where for d in report.differences} == {"stock_orders", "stock_notices"}
    assert {d.cause for d in report.differences} == {"sent 2 times"}


def test_different_actions_are_no_repeats():
    lines = [{"line_id": f"o-1/{n}", "quantity": 3} for n in range(3)]
    assert found(stock_orders=lines).ok
