"""Promotions on the real stack: copies once, and pricing hears of two prices for one product."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.integration.test_inventory_job import MILK, send
from tests.support.shop import Shop
from tests.support.wait import wait_for
from tillstream.catalog import topics
from tillstream.catalog.resources import Topic
from tillstream.clients.whole_topic import read_whole

DAY = 86_400_000
BEGAN_MS = int(time.time() * 1000) - 60_000


def announced(shop: Shop, name: str, price: int, revision: int = 1, **changes: Any) -> None:
    document = {
        "schema": 2, "promotion_id": name, "revision": revision, "status": "planned",
        "products": [MILK, "plu-4011"], "start_ms": BEGAN_MS + DAY, "end_ms": BEGAN_MS + 8 * DAY,
        "uplift_percent": 150, "announced_ms": BEGAN_MS, "price_cents": price, "currency": "ZAR",
    }  # fmt: skip
    send(shop, shop.conf().topic(topics.PROMOTIONS), name, document | changes)


def there(shop: Shop, topic: Topic, count: int) -> list[dict[str, Any]]:
    conf = shop.conf()

    def found() -> list[dict[str, Any]]:
        return [json.loads(m.value() or b"") for m in read_whole(conf, "test", conf.topic(topic))]

    return wait_for(found, 90, f"{count} in {topic.id}", lambda made: len(made) >= count, every_s=2)


def test_two_prices_for_one_product_are_told_once_and_known_after_a_restore(open_shop):
    shop = open_shop("promotions", "kafka")
    shop.submit("promotions")
    announced(shop, "milk-week-48", 1399)
    announced(shop, "black-friday", 1299, stores=[45, 46], products=[MILK])
    (found,) = there(shop, topics.PROMOTIONS_OVERLAPS, 1)
    assert (found["holds"]["promotion_id"], found["stores"]) == ("black-friday", [45, 46])
    assert (found["product"], found["currency"]) == (MILK, "ZAR")
    pricing = there(shop, topics.PROMOTIONS_PRICING, 2)
    assert {(one["promotion_id"], one["currency"]) for one in pricing} == {
        ("milk-week-48", "ZAR"), ("black-friday", "ZAR"),
    }  # fmt: skip
    shop.run("job", "stop", "promotions")
    announced(shop, "banana-days", 999, products=["plu-4011"])
    announced(shop, "black-friday", 1299, stores=[45, 46], products=[MILK])  # again
    shop.run("job", "restore", "promotions")
    (_, other) = there(shop, topics.PROMOTIONS_OVERLAPS, 2)
    assert other["gives_way"]["promotion_id"] == "milk-week-48"
    shop.run("notify", "run", "--until-idle", "6")
    sent = [
        json.loads(line) for line in Path(shop.conf().notify.file or "").read_text().splitlines()
    ]
    assert sorted(one["params"]["holds"] for one in sent) == ["banana-days", "black-friday"]
    assert shop.run("dlq", "list", "--json", "--job", "promotions").strip() in ("", "[]")
