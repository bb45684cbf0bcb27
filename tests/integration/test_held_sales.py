"""What fraud holds, points and revenue say: on real protocols, for a customer who shares an account, with a
TaskManager killed between the hold and its verdict."""

from __future__ import annotations

import json

from tests.support.stacks import kill
from tests.support.tills import HOUR_MS, Tap, Tills, evenings, sale, today_ms
from tests.support.wait import wait_for
from tillstream.catalog import tables, topics
from tillstream.check.held import SUMS
from tillstream.check.platform import Platform
from tillstream.clients.delivery import open_producer
from tillstream.fraud.rules_file import packaged_rules

ANN, BEN, HOME = "C0000012345", "C0000000789", "household:H1"
STOLEN = "durban-0001"


def joins(customer: str, at_ms: int) -> dict:
    return {
        "schema": 1, "event_id": f"{customer}-in", "kind": "join", "customer_id": customer,
        "household_id": "H1", "points": "all", "reason": "family", "by": "agent-17", "event_time_ms": at_ms,
    }  # fmt: skip


def test_points_and_revenue_of_a_held_sale_follow_its_verdict_through_a_crash(open_shop, tmp_path):
    rules = json.loads(packaged_rules().raw) | {"version": "patient", "late_minutes": 3 * 24 * 60}
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    shop = open_shop("held", "kafka", fraud={"rules": str(tmp_path / "rules.json")})
    conf = shop.conf()
    hot, tills, holds = Platform(conf), Tills(conf), Tap(conf, conf.topic(topics.HOLDS))
    shop.submit("fraud")
    shop.submit("loyalty")

    regulars = evenings(ANN, "cape-town", 30_000, 50_000)
    tills.send(regulars)
    own = sum(one["total_cents"] // 1_000 for one in regulars)
    wait_for(
        hot.balances,
        120,
        f"{own} points of Ann's own",
        lambda found: found.get(ANN, (0,))[0] == own,
    )
    shop.wait_until_read("fraud")  # what is usual is known by then
    send(conf, joins(ANN, today_ms() - HOUR_MS), joins(BEN, today_ms() - HOUR_MS))
    wait_for(
        hot.balances,
        120,
        "Ann's points to move over",
        lambda found: found.get(HOME, (0,))[0] == own,
    )

    tills.send([sale(STOLEN, today_ms(), 400_000, store=156, till=2, region="kwazulu-natal",
                     card_token="tok_z9y8x7w6v5u4t3s2", customer_id=ANN)])  # fmt: skip
    holds.wait(lambda one: one["transaction_id"] == STOLEN)
    wait_for(hot.pending, 120, "400 points pending", lambda found: found == {HOME: 400})
    assert hot.balances()[HOME][0] == own
    case = shop.run("fraud", "show", STOLEN)
    assert "400" in case
    assert "pending" in case
    shop.wait_for_checkpoints("loyalty")
    kill(shop.stack, shop.taskmanager_of("loyalty"))
    shop.run("fraud", "confirm", STOLEN)
    shop.stack.up()
    holds.wait(lambda one: one["action"] == "decline")
    wait_for(hot.pending, 180, "no point pending", lambda found: not found)
    # Ben buys, so that the account has been written since.
    tills.send([sale("later-0001", today_ms() + HOUR_MS // 2, 1_000, customer_id=BEN)])
    wait_for(hot.balances, 120, "one point of Ben's", lambda found: found[HOME][0] == own + 1)
    shop.wait_for_checkpoints("loyalty")
    entries = hot.ledger(
        ["customer_id", "entry_id", "kind", "delta", "pending", "member"]
    ).to_pylist()
    told = [one for one in entries if one["entry_id"].startswith(STOLEN)]
    assert [(one["customer_id"], one["member"], one["kind"], one["delta"], one["pending"])
            for one in sorted(told, key=lambda one: ("sale", "held", "fraud").index(one["kind"]))] == [
        (HOME, ANN, "sale", 400, 0), (HOME, ANN, "held", -400, 400), (HOME, ANN, "fraud", 0, 0),
    ]  # fmt: skip
    assert hot.dead_letters() == {}

    shop.run("job", "stop", "loyalty")  # its slot is needed
    shop.submit("sales")
    shop.wait_until_read("sales", names=[conf.topic(topics.HOLDS)])
    held = wait_for(lambda: hot.parquet(tables.SALES_HELD, ["store", "currency", *SUMS]).to_pylist(), 120,
                    "what is held by hour", lambda rows: sum(one["lost"] for one in rows) == 1)  # fmt: skip
    sums = {name: sum(one[name] for one in held or []) for name in SUMS}
    assert sums == {"held": 0, "held_cents": 0, "lost": 1, "lost_cents": 400_000}
    assert {(one["store"], one["currency"]) for one in held or []} == {(156, "ZAR")}


def send(conf, *events: dict) -> None:
    producer = open_producer({"bootstrap.servers": conf.kafka.bootstrap or ""})
    for event in events:
        producer.produce(
            conf.topic(topics.HOUSEHOLDS), json.dumps(event).encode(), event["customer_id"].encode()
        )
    assert producer.flush(30) == 0
