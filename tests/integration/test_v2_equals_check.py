"""A hundred thousand receipts of contract v2 on the real stack, with duplicates, malformed and late ones, and
what runs killed in their midst: points, stock, revenue and tax equal the independent check."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import pytest

from tests.support.stacks import kill
from tillstream.catalog import topics

# Of some six lines each: on two cores the stand-in for DynamoDB sets the pace, and this takes half an hour.
TRANSACTIONS = int(os.environ.get("TILLSTREAM_V2_TRANSACTIONS", "100000"))
TRAFFIC = (
    *("--contract", "v2", "--count", str(TRANSACTIONS), "--customers", "8000"),
    *(
        "--stores",
        "60",
        "--products",
        "200",
    ),  # six currencies, and shelves that are sold from often
    *("--duplicates", "0.02", "--malformed", "0.01", "--fuzzed", "0.005"),
    *("--late", "0.05", "--out-of-order", "0.02", "--refunds", "0.04", "--voids", "0.01"),
)
LONGEST_S = 5_400

pytestmark = [pytest.mark.long, pytest.mark.timeout(LONGEST_S)]


class Day(NamedTuple):
    """What the check said of each job."""

    points: dict[str, Any]
    stock: dict[str, Any]
    sales: dict[str, Any]
    restarts: int


@pytest.fixture(scope="module")
def day(open_story) -> Day:
    """Intake, loyalty and inventory through the loss of TaskManagers and of the JobManager; then sales, which
    reads what intake has written from its beginning, stopped and restored on the way."""
    with open_story() as open_shop:
        shop = open_shop("v2-check", "kafka")
        shop.submit("loyalty")
        shop.submit("inventory")
        feed = shop.feed(400, *TRAFFIC)
        shop.wait_for_entries(TRANSACTIONS // 10, 900)
        kill(shop.stack, shop.taskmanager_of("loyalty"))
        shop.stack.up()
        shop.wait_for_checkpoints("loyalty", timeout_s=240)
        restarts = len(shop.rest().exceptions(shop.running("loyalty")))
        shop.wait_for_entries(TRANSACTIONS, 1_800, topic=topics.STOCK_CHANGES)
        kill(shop.stack, shop.taskmanager_of("inventory"))
        shop.stack.up()
        shop.wait_for_checkpoints("inventory", timeout_s=240)
        run = shop.running("inventory")
        kill(shop.stack, "jobmanager")
        shop.wait_until_back("inventory", run)
        feed.done(1_800)
        for job in ("loyalty", "inventory"):
            shop.wait_until_read(job, 1_800)
        points = shop.prove("sent", 300)
        stock = shop.prove("sent", 300, "--stock", "--no-decisions")
        for job in ("loyalty", "inventory"):  # their slots are needed
            shop.run("job", "stop", job)

        shop.submit("sales")
        shop.wait_for_checkpoints("sales")
        shop.run("job", "stop", "sales", "--savepoint")
        shop.run("job", "restore", "sales", "--from", "latest-savepoint", "--parallelism", "1")
        kill(shop.stack, shop.taskmanager_of("sales"))
        shop.stack.up()
        shop.wait_until_read("sales", 900)
        # No later sale comes to close the last windows: draining does.
        end = f"file://{shop.truth}/end"
        shop.rest().stop_with_savepoint(shop.running("sales"), end, drain=True)
        return Day(points, stock, shop.prove("sent", 120, "--sales"), restarts)


def test_points_dead_letters_and_transactions_equal_the_check_whatever_was_killed(day):
    assert day.restarts > 0
    assert day.points["ok"]
    totals = day.points["totals"]
    assert totals["transactions passed on"][0] > TRANSACTIONS * 0.9
    assert totals["dead letters"][0] > TRANSACTIONS * 0.01
    assert min(totals["points redeemed"][0], totals["points reversed"][0]) > 0


def test_every_level_in_pieces_and_grams_equals_the_check(day):
    assert day.stock["ok"]
    assert day.stock["totals"]["lines"][0] > TRANSACTIONS * 2


def test_revenue_by_currency_and_unit_equals_the_check(day):
    assert day.sales["ok"]
    names = {name for name in day.sales["totals"] if name.endswith(": revenue")}
    assert len(names) >= 2 * 5  # by minute and by hour
    assert "sales_hours, kg: quantity" in day.sales["totals"]


def test_tax_by_store_and_day_equals_the_check_in_five_currencies_and_more(day):
    taxes = {name: of for name, of in day.sales["totals"].items() if name.startswith("tax, ")}
    assert len(taxes) >= 5
    assert all(recomputed == found > 0 for recomputed, found in taxes.values())
    assert "tax ZAR S 15 %" in day.sales["figures"]


def test_tax_that_the_sales_job_adds_up_by_code_and_rate_equals_the_check(day):
    taxes = {name: of for name, of in day.sales["totals"].items() if name.startswith("tax_hours, ")}
    assert len(taxes) >= 5
    assert all(recomputed == found > 0 for recomputed, found in taxes.values())
