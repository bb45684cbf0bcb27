"""The inventory job on real protocols: levels, ledger, orders and alerts equal an independent check,
whatever is killed, stopped or restored on the way; and milk at store 45."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.sales import sale
from tests.support.shop import Shop
from tests.support.stacks import kill
from tests.support.wait import wait_for
from tillstream.catalog import tables, topics
from tillstream.check.platform import Platform
from tillstream.check.stock_sent import read_stock_truth
from tillstream.clients import aws as clients
from tillstream.sim.senders import KafkaSender

MILK = "2000000000411"
CENTRE, NEARBY = 9010, 34  # of store 45
DIRTY = ("--duplicates", "0.02", "--malformed", "0.01", "--late", "0.05", "--out-of-order", "0.02")
# Event time runs through two days, so that demand is learnt and orders are made on it.
# Of some six lines each. More of them (36000 make 200,000 lines) take ten minutes.
TRANSACTIONS = int(os.environ.get("TILLSTREAM_STOCK_TRANSACTIONS", "8000"))
TRAFFIC = ("--movements", "0.1", "--stores", "4", "--products", "40", *DIRTY)


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
        "document_id": f"{kind}-{store}-{at_ms % 10**9}",
        "kind": kind,
        "store": store,
        "event_time_ms": at_ms,
        "lines": [{"product": MILK, "quantity": quantity, **more}],
    }
    send(shop, shop.conf().topic(topics.STOCK_MOVEMENTS), str(store), document)


def sold(shop: Shop, quantity: int, at_ms: int) -> None:
    document = sale(
        f"0045-03-{at_ms % 10**9}", at_ms, quantity * 1599, pieces=quantity, product=MILK,
        category="dairy", region="botswana", currency="BWP", customer_id=None,
    )  # fmt: skip
    send(shop, shop.conf().source.kafka.topic, "till", document)


def come(look: Callable[[], Any], seconds: float = 180) -> Any:
    return wait_for(look, seconds, "what the job should make of it", every_s=0.5)


def bodies(shop: Shop, topic: str) -> list[dict[str, Any]]:
    return [
        json.loads(m.value() or b"") for m in Platform(shop.conf()).messages(topics.BY_ID[topic])
    ]


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
    wait_for(lambda: (level(shop), level(shop, NEARBY)), 60, "counted levels", (200, 90).__eq__)
    sold(shop, 140, now + 1_000)
    sold(shop, 48, now + 2_000)
    sold(shop, 48, now + 2_000)  # the till says it twice
    wait_for(lambda: level(shop), 60, "level 12", (12).__eq__)
    # Each topic is written by a sink of its own: one may be seen before the other.
    told = ("stock_orders", "stock_notices", "central_stock", "truck_routes", "transfer_offers")
    come(lambda: all(bodies(shop, topic) for topic in told))

    (order,) = bodies(shop, "stock_orders")
    assert (order["store"], order["centre"], order["emergency"]) == (45, 9007, True)
    assert order["quantity"] == 188
    assert [(t["centre"], t["had"], t["gave"]) for t in order["tried"]] == [
        (9010, 0, 0),
        (9007, 5_000, 188),
    ]
    assert (order["why"]["level"], order["why"]["order_up_to"]) == (12, 200)
    (notice,) = bodies(shop, "stock_notices")
    assert notice["recipient"] == "store:45"
    assert (notice["params"]["level"], notice["params"]["normal"]) == (12, 200)
    (central,) = bodies(shop, "central_stock")
    assert (central["state"], central["level"]) == ("low", 12)
    (route,) = bodies(shop, "truck_routes")
    assert (route["store"], route["centre"], route["quantity"]) == (45, 9007, 188)
    come(lambda: len(bodies(shop, "transfer_offers")) == 3)
    offers = {offer["from_store"]: offer["spare"] for offer in bodies(shop, "transfer_offers")}
    assert offers[NEARBY] == 90 - 25
    said = shop.run("stock", "45", MILK)
    assert "12 pieces left" in said
    assert order["order_id"] in said

    moved(shop, "delivery", 45, 188, now + 3_000, order_id=order["order_id"])
    wait_for(lambda: level(shop), 60, "level 200", (200).__eq__)
    come(lambda: len(bodies(shop, "central_stock")) == 2)
    assert {update["state"] for update in bodies(shop, "central_stock")} == {"low", "ok"}

    # A manager finds 150 and writes it into the table: it comes back as a correction, once.
    clients.dynamodb(shop.conf()).update_item(
        TableName=shop.conf().table(tables.STOCK),
        Key={"store": {"S": "45"}, "product": {"S": MILK}},
        UpdateExpression="SET quantity = :q, corrected_at_ms = :t",
        ExpressionAttributeValues={":q": {"N": "150"}, ":t": {"N": str(now + 4_000)}},
    )
    assert "1 corrections sent" in shop.run("streams", "bridge", "--once")
    come(lambda: "correction" in {c["kind"] for c in bodies(shop, "stock_changes")})
    wait_for(lambda: level(shop), 60, "level 150", (150).__eq__)
    assert "0 corrections sent" in shop.run("streams", "bridge", "--once")


@pytest.mark.long
def test_everything_once_through_crashes_of_taskmanager_and_jobmanager(open_shop):
    shop = open_shop("stock-crash", "kafka")
    shop.submit("inventory", parallelism=2)
    feed = shop.feed(500, *TRAFFIC, "--count", str(TRANSACTIONS), "--start", start_of(0.1))
    shop.wait_for_entries(TRANSACTIONS // 2, topic=topics.STOCK_CHANGES)
    kill(shop.stack, shop.taskmanager_of("inventory"))
    shop.stack.up()
    shop.wait_for_checkpoints("inventory")
    run = shop.running("inventory")
    kill(shop.stack, "jobmanager")
    shop.wait_until_back("inventory", run)
    feed.done()
    totals = shop.prove("sent", 120, "--stock")["totals"]
    assert totals["orders"][0] > 3


def test_sales_add_up_by_minute_and_hour_with_late_ones_and_a_restore(open_shop):
    shop = open_shop("sales", "kafka")
    shop.submit("sales")
    traffic = ("--duplicates", "0.02", "--malformed", "0.01", "--late", "0.05", "--stores", "3")
    feed = shop.feed(100, *traffic, "--products", "10")
    shop.wait_for_checkpoints("sales")
    shop.run("job", "stop", "sales", "--savepoint")
    shop.run("job", "restore", "sales", "--from", "latest-savepoint", "--parallelism", "1")
    feed.stop()
    shop.wait_until_read("sales")
    # No later sale comes to close the last windows: draining does.
    rest = shop.rest()
    rest.stop_with_savepoint(shop.running("sales"), f"file://{shop.truth}/end", drain=True)
    wanted = {
        f"{store}/{product}": -sum(move.pieces for move in moves.values())
        for (store, product), moves in read_stock_truth(
            shop.truth, shop.conf().intake.kinds
        ).lines.items()
    }
    for windows in (tables.SALES_BY_MINUTE, tables.SALES_BY_HOUR):
        found = dict.fromkeys(wanted, 0)
        table = Platform(shop.conf()).parquet(windows, ["shelf", "sold", "returned"])
        for row in table.to_pylist():
            found[row["shelf"]] += row["sold"] - row["returned"]
        assert found == wanted


def test_stopped_and_restored_with_other_rules_no_line_is_lost_or_counted_twice(open_shop):
    shop = open_shop("stock-rules", "kinesis")
    shop.submit("inventory")
    feed = shop.feed(100, *TRAFFIC, "--start", start_of(0.1))
    shop.wait_for_entries(1_000, topic=topics.STOCK_CHANGES)
    shop.run("job", "stop", "inventory", "--savepoint")
    shop.change(inventory={"emergency_percent": 25, "lead_hours": 48})
    shop.run("job", "restore", "inventory", "--from", "latest-savepoint", "--parallelism", "1")
    feed.stop()
    shop.prove("sent", 120, "--stock", "--no-decisions")
