"""The inventory job on real protocols: levels, ledger, orders and alerts equal an independent check,
whatever is killed, stopped or restored on the way; and milk at store 45."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.shop import Shop
from tillstream.check.platform import Platform
from tillstream.sim.senders import KafkaSender

pytestmark = pytest.mark.integration
MILK = "2000000000411"
CENTRE, NEARBY = 9010, 34  # of store 45
DIRTY = ("--duplicates", "0.02", "--malformed", "0.01", "--late", "0.05", "--out-of-order", "0.02")
# Event time runs through two days, so that demand is learnt and orders are made on it.
TRAFFIC = ("--movements", "0.1", "--stores", "4", "--products", "40", *DIRTY)


@pytest.fixture
def open_shop(stack, tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    opened: list[Shop] = []

    def opener(name: str, source: str) -> Shop:
        stack.up()  # brings back what a test before this one killed
        opened.append(Shop(stack, name, tmp_path, source))
        return opened[-1]

    yield opener
    for shop in opened:
        shop.close()


def start_of(days: float) -> str:
    """Event times from so many days ago."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - days * 86_400))


def send(shop: Shop, topic: str, key: str, document: dict[str, Any]) -> None:
    sender = KafkaSender(shop.conf(), shop.truth / "spool", topic)
    sender.send(key, json.dumps(document).encode())
    sender.close()


def moved(shop: Shop, kind: str, store: int, quantity: int, at_ms: int, **more: Any) -> None:
    document = {
        "schema": 1,
        "document_id": f"{kind}-{store}-{at_ms}",
        "kind": kind,
        "store": store,
        "event_time_ms": at_ms,
        "lines": [{"product": MILK, "quantity": quantity, **more}],
    }
    send(shop, shop.conf().kafka.topics["stock_movements"], str(store), document)


def sold(shop: Shop, quantity: int, at_ms: int) -> None:
    line = {"product": MILK, "quantity": quantity, "unit_price_cents": 1599, "category": "dairy"}
    document = {
        "schema": 1,
        "transaction_id": f"0045-03-{at_ms}",
        "store": 45,
        "region": "botswana",
        "till": 3,
        "payment_method": "cash",
        "event_time_ms": at_ms,
        "currency": "BWP",
        "lines": [line],
        "total_cents": quantity * 1599,
        "kind": "sale",
    }
    send(shop, shop.conf().source.kafka.topic, "till", document)


def wait_for(what: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "did not come in time"
        time.sleep(0.5)
    return found


def bodies(shop: Shop, topic: str) -> list[dict[str, Any]]:
    return [json.loads(m.value()) for m in Platform(shop.conf()).messages(topic)]


def level(shop: Shop, store: int = 45) -> int | None:
    return Platform(shop.conf()).stock().get((store, MILK), (None, 0))[0]


def test_milk_at_store_45(open_shop):
    """12 left of a normal 200: an emergency order from the nearest centre that has it, the manager
    told, central inventory told, a truck sent round, nearby stores asked; each once."""
    shop = open_shop("milk", "kafka")
    shop.submit("inventory")
    now = int(time.time() * 1000) - 3_600_000
    moved(shop, "count", CENTRE, 0, now)
    moved(shop, "count", 9007, 5_000, now)
    moved(shop, "plan", NEARBY, 100, now)
    moved(shop, "count", NEARBY, 90, now + 1)
    moved(shop, "plan", 45, 200, now)
    moved(shop, "count", 45, 200, now + 1)
    wait_for(lambda: level(shop) == 200 and level(shop, NEARBY) == 90)
    sold(shop, 140, now + 1_000)
    sold(shop, 48, now + 2_000)
    sold(shop, 48, now + 2_000)  # the till says it twice
    wait_for(lambda: level(shop) == 12)
    wait_for(lambda: bodies(shop, "transfer_offers") and bodies(shop, "truck_routes"))

    (order,) = bodies(shop, "stock_orders")
    assert (order["store"], order["centre"], order["emergency"]) == (45, 9007, True)
    assert order["quantity"] == 188
    assert [(t["centre"], t["had"], t["gave"]) for t in order["tried"]] == [
        (9010, 0, 0),
        (9007, 5_000, 188),
    ]
    assert (order["why"]["level"], order["why"]["order_up_to"]) == (12, 200)
    (notice,) = bodies(shop, "notices")
    assert notice["recipient"] == "store:45"
    assert (notice["params"]["level"], notice["params"]["normal"]) == (12, 200)
    (central,) = bodies(shop, "central_stock")
    assert (central["state"], central["level"]) == ("low", 12)
    (route,) = bodies(shop, "truck_routes")
    assert (route["store"], route["centre"], route["quantity"]) == (45, 9007, 188)
    wait_for(lambda: len(bodies(shop, "transfer_offers")) == 3)
    offers = {offer["from_store"]: offer["spare"] for offer in bodies(shop, "transfer_offers")}
    assert offers[NEARBY] == 90 - 25
    said = shop.run("stock", "45", MILK)
    assert "12 left" in said
    assert order["order_id"] in said

    moved(shop, "delivery", 45, 188, now + 3_000, order_id=order["order_id"])
    wait_for(lambda: level(shop) == 200)
    wait_for(lambda: len(bodies(shop, "central_stock")) == 2)
    assert {update["state"] for update in bodies(shop, "central_stock")} == {"low", "ok"}


def test_everything_once_through_crashes_of_taskmanager_and_jobmanager(open_shop):
    shop = open_shop("stock-crash", "kafka")
    shop.submit("inventory", parallelism=2)
    feed = shop.feed(24_000, 800, *TRAFFIC, "--start", start_of(0.1))
    shop.wait_for_entries(15_000, topic="stock_changes")
    shop.stack.kill("taskmanager-2")
    shop.stack.start_process("taskmanager-2")
    shop.wait_for_checkpoints("inventory")
    shop.stack.kill("jobmanager")
    shop.stack.start_process("jobmanager")
    shop.run("job", "restore", "inventory", "--from", "latest-checkpoint")
    feed.done()
    totals = shop.prove("sent", 120, "--stock")["totals"]
    assert totals["orders"][0] > 20


def test_stopped_and_restored_with_other_rules_no_line_is_lost_or_counted_twice(open_shop):
    shop = open_shop("stock-rules", "kinesis")
    shop.submit("inventory")
    feed = shop.feed(6_000, 500, *TRAFFIC, "--start", start_of(0.1))
    shop.wait_for_entries(4_000, topic="stock_changes")
    shop.run("job", "stop", "inventory", "--savepoint")
    shop.overrides["inventory"] = {"emergency_percent": 25, "lead_hours": 48}
    shop.environment["TILLSTREAM_CONF"] = json.dumps(shop.overrides)
    shop.run("job", "restore", "inventory", "--from", "latest-savepoint")
    feed.done()
    shop.prove("sent", 120, "--stock", "--no-decisions")
