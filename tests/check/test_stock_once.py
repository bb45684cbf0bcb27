"""What was sent twice: a fault, for all the inventory job's actions go exactly once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tillstream.catalog.resources import Topic
from tillstream.check.report import Report
from tillstream.check.stock import ACTIONS, _actions, _bodies, _once, _too_late, _transfers
from tillstream.check.stock_sent import StockTruth


def found(**topics: list[dict[str, Any]]) -> Report:
    def documents(topic: Topic) -> list[dict[str, Any]]:
        return topics.get(topic.id, [])

    assert set(topics) <= set(ACTIONS)
    report = Report()
    _once(SimpleNamespace(documents=documents, accepted=documents), report)
    return report


def notice(template: str, **changes: Any) -> dict[str, Any]:
    of = {"recipient": "store:45", "cause": "1"}
    return (
        {"notice_id": f"{template}:store:45:1", "template": template, "params": {}} | of | changes
    )


def order(line: str) -> dict[str, Any]:
    of = {"centre": 9003, "product": "2000000000015", "emergency": False}
    return {"order_id": "o-1", "line_id": line, "quantity": 3} | of


# Garbage on each topic: what it lacks is what the check would ask for.
JUNK: list[dict[str, Any]] = [
    {}, {"order_id": 7}, {"ask": []}, {"request_id": "r", "ask": "order", "order_id": "o", "quantity": "3"},
    {"line_id": ["l"]}, {"template": "never_counted", "notice_id": "n"}, {"notice_id": {}},
    notice("never_counted"), notice("transfer_differs"), notice("document_too_late", recipient=5),
    notice("never_counted", params={"day": "2026-11-24", "shelves": "two", "products": "a"}),
]  # fmt: skip


def test_what_no_job_would_take_for_an_action_stops_the_check_no_more_than_the_job():
    told = {"day": "2026-11-24", "shelves": 1, "products": "2000000000015"}
    odd = notice("never_counted", params=told, recipient="store:everywhere")
    bodies = [*JUNK, odd]
    held = SimpleNamespace(documents=lambda topic: bodies, accepted=lambda topic: bodies)
    report = Report()
    sent = {name: _bodies(held, name) for name in ("stock_requests", "stock_orders")}
    assert sent == {"stock_requests": [], "stock_orders": []}
    _actions({}, sent, held, report)
    _too_late(set(), held, report)
    _transfers(StockTruth(), held, report)
    _once(held, report)
    assert [one.where for one in report.differences] == ["never counted"]  # of a store that is none


def test_the_same_id_with_other_content_is_a_difference():
    report = found(stock_notices=[notice("low_stock"), notice("low_stock", params={"n": 1})])
    assert not report.ok
    assert report.differences[0].where == "stock_notices"
    assert report.differences[0].cause == "sent again with other content"


def test_what_the_inventory_job_sends_comes_once():
    report = found(stock_orders=[order("o-1/1")] * 2, stock_notices=[notice("low_stock")] * 2)
    assert report.count == 2
    assert {d.where for d in report.differences} == {"stock_orders", "stock_notices"}
    assert {d.cause for d in report.differences} == {"sent 2 times"}


def test_different_actions_are_no_repeats():
    lines = [order(f"o-1/{n}") for n in range(3)]
    assert found(stock_orders=lines).ok
