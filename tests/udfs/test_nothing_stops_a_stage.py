"""Whatever is on a topic that a job reads: what cannot be used is a dead letter, the rest has its effect,
and however much comes, the stage goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import msgspec
import orjson
import pytest

from tests.support import ROOT
from tests.support.batched_harness import BatchedHarness
from tests.support.fraud_chain import label_of, sale
from tests.support.harness import KeyedHarness
from tests.support.sales import canonical
from tests.udfs.test_shortage_functions import level
from tillstream import catalog
from tillstream.catalog import topics
from tillstream.conf import load
from tillstream.dead_letters.contracts import READERS
from tillstream.domain import transaction
from tillstream.domain.envelope import Envelope, seal, unseal
from tillstream.domain.fraud.actions import Hold
from tillstream.domain.fraud.sale import read as read_sale
from tillstream.domain.loyalty import parts
from tillstream.domain.shortage import events
from tillstream.domain.stock import baskets
from tillstream.domain.transaction import InvalidTransaction
from tillstream.fraud.rules_file import packaged_rules
from tillstream.fraud.texts import asking
from tillstream.sim.fuzz import fuzzed
from tillstream.udfs import archive, fraud, intake, inventory, loyalty, promotions, shortage
from tillstream.udfs.stage import DEAD_LETTERS, MOST_FAILED

CONF = load("local")
EVENTS = ROOT / "state_schemas" / "events"
VALID = "examples/valid"
T0 = 1_764_000_000_000
TILLS = "tills"
CHECKED = topics.TRANSACTIONS.id
SALE = sale(7)
REQUEST = {"type": "request", "request_id": "45-1-000001", "ask": "order", "to": 45, "asked_by": 46,
           "product": "2000000000411", "order_id": "45-1-000001", "quantity": 1, "event_time_ms": T0,
           "emergency": False}  # fmt: skip
REPLY = {"transaction_id": SALE["transaction_id"], "customer_id": SALE["customer_id"], "answer": "yes",
         "answered_ms": T0}  # fmt: skip
TRANSFER = {"adjustment_id": "desk-1", "customer_id": "C0000000002", "sender": "C0000000001", "points": 40,
            "reason": "merged", "by": "agent-17"}  # fmt: skip
HOLD = Hold("sale-0001:hold", "sale-0001", "hold", 45, 3, "default-3", T0, T0 + 500, "C0000000001", 10_000,
            "ZAR", "western-cape")  # fmt: skip
GOOD = {
    TILLS: json.dumps(SALE).encode(),
    CHECKED: canonical(SALE),
    topics.FRAUD_LABELS.id: json.dumps(label_of(SALE, True)).encode(),
    topics.FRAUD_REPLIES.id: json.dumps(REPLY).encode(),
    topics.STOCK_MOVEMENTS.id: (EVENTS / "stock_movement" / VALID / "delivery_of_an_order.json").read_bytes(),
    topics.POINTS_REQUESTS.id: (
        EVENTS / "points_request" / VALID / "hold_at_a_till_with_a_name.json"
    ).read_bytes(),
    topics.LOYALTY_ADJUSTMENTS.id: (
        EVENTS / "loyalty_adjustment" / VALID / "all_points_to_a_new_card.json"
    ).read_bytes(),
    topics.HOUSEHOLDS.id: (EVENTS / "household" / VALID / "joins_with_all_points.json").read_bytes(),
    topics.POINTS_TRANSFERS.id: json.dumps(TRANSFER).encode(),
    topics.HOLDS.id: msgspec.json.encode(HOLD),
    topics.STOCK_REQUESTS.id: json.dumps(REQUEST).encode(),
    topics.STOCK_CHANGES.id: unseal(level(3, 10, T0)).raw,
    topics.PROMOTIONS.id: (EVENTS / "promotion" / VALID / "in_two_stores_at_a_price.json").read_bytes(),
}  # fmt: skip
GOOD[topics.PROMOTIONS_INVENTORY.id] = GOOD[topics.PROMOTIONS.id]
TILL_KINDS = {CONF.topic(t): kind for kind, t in (("movement", topics.STOCK_MOVEMENTS),
              ("request", topics.STOCK_REQUESTS), ("promotion", topics.PROMOTIONS_INVENTORY))}  # fmt: skip
RULES = packaged_rules().raw

# (job, topic) -> the stage that reads it
STAGES: dict[tuple[str, str], Callable[[], Any]] = {
    ("loyalty", CHECKED): lambda: BatchedHarness(loyalty.ledger(CONF)),
    ("loyalty", "points_requests"): lambda: BatchedHarness(loyalty.ledger(CONF)),
    ("loyalty", "loyalty_adjustments"): lambda: BatchedHarness(loyalty.ledger(CONF)),
    ("loyalty", "points_transfers"): lambda: BatchedHarness(loyalty.ledger(CONF)),
    ("loyalty", "holds"): lambda: BatchedHarness(loyalty.ledger(CONF)),
    ("loyalty", "households"): lambda: BatchedHarness(loyalty.ledger(CONF)),
    ("intake", TILLS): lambda: BatchedHarness(intake.intake_once(CONF)),
    ("archive", CHECKED): lambda: BatchedHarness(archive.archive_once(CONF)),
    ("fraud", CHECKED): lambda: BatchedHarness(fraud.at_till(CONF)),
    ("fraud", "fraud_labels"): lambda: BatchedHarness(fraud.at_till(CONF)),
    ("fraud", "fraud_replies"): lambda: BatchedHarness(fraud.judge(CONF, RULES, asking(CONF))),
    ("inventory", "stock_movements"): lambda: KeyedHarness(inventory.documents(CONF, TILL_KINDS)),
    ("inventory", "stock_requests"): lambda: KeyedHarness(inventory.documents(CONF, TILL_KINDS)),
    ("inventory", "promotions_inventory"): lambda: KeyedHarness(inventory.documents(CONF, TILL_KINDS)),
    ("promotions", "promotions"): lambda: KeyedHarness(promotions.PassOn(promotions_settings())),
    ("shortage", CHECKED): lambda: BatchedHarness(shortage.shelf_watch(CONF), now_ms=T0),
    ("shortage", "stock_changes"): lambda: BatchedHarness(shortage.shelf_watch(CONF), now_ms=T0),
    ("shortage", "promotions_inventory"): lambda: KeyedHarness(shortage.promotions_by_store(CONF)),
}  # fmt: skip


def promotions_settings():
    return shortage.StageSettings.of("promotions", CONF)


def name_of(topic: str) -> str:
    if topic == TILLS:
        return CONF.source.kafka.topic
    return CONF.topic(topics.BY_ID[topic])


# Of the front door's stream each job reads what it needs.
OF_CHECKED: dict[str, Callable[[bytes], Any]] = {
    "archive": archive.read,
    "inventory": baskets.read,
    "loyalty": parts.read,
    "shortage": events.read,
    "fraud": lambda raw: read_sale(Envelope("", 2**42, raw)),
}


def usable(topic: str, raw: bytes, job: str) -> bool:
    read = READERS.get(topic, transaction.parse)
    if topic == CHECKED:
        read = OF_CHECKED[job]
    try:
        read(raw)
    except InvalidTransaction:
        return False
    return True


def feed(harness: Any, topic: str, records: Iterable[tuple[int, bytes]]) -> None:
    """Each as of that offset."""
    for n, raw in records:
        try:
            document = orjson.loads(raw)
        except orjson.JSONDecodeError:
            document = {}
        arrived_ms = T0 + 10_000 * 86_400_000  # no clock is ahead of it
        value = seal(f"kafka:{name_of(topic)}/0/{n}", arrived_ms, raw)
        key = f"{document.get('store', '~7')}" if isinstance(document, dict) else "~7"
        if isinstance(harness, BatchedHarness):
            harness.process((key, value))
        else:
            harness.process(key, value)


def test_every_topic_that_a_job_reads_is_tried_here_and_can_be_redriven():
    read = {(job.name, topic.id) for job in catalog.jobs() for topic in job.reads}
    read |= {(j.name, TILLS if j.raw else CHECKED) for j in catalog.jobs() if j.transactions}
    # Orders, of fraud rules and of the assortment, have tests of their own; Java reads these of inventory
    # and sales.
    apart = {
        ("fraud", "fraud_rules"),
        ("inventory", "assortment"),
        ("inventory", CHECKED),
        ("sales", CHECKED),
        ("sales", "holds"),
        ("shortage", "assortment"),
    }
    assert set(STAGES) == read - apart
    assert {topic for _, topic in read} - {TILLS} == set(READERS)


@pytest.mark.parametrize(("job", "topic"), STAGES)
@pytest.mark.parametrize("seed", range(3))
def test_what_cannot_be_used_is_one_dead_letter_and_the_state_is_as_without_it(job, topic, seed):
    rng = Random(f"{seed}/{job}/{topic}")
    made = [GOOD[topic], *(fuzzed(GOOD[topic], rng) for _ in range(100)), GOOD[topic]]
    records = list(enumerate(made))
    good = [(n, raw) for n, raw in records if usable(topic, raw, job)]
    whole, alone = STAGES[job, topic](), STAGES[job, topic]()
    feed(whole, topic, records)
    feed(alone, topic, good)
    letters = [json.loads(value) for value in whole.side[DEAD_LETTERS]]
    rules = [json.loads(value) for value in alone.side[DEAD_LETTERS]]
    assert len(letters) == len(records) - len(good) + len(rules)
    assert "rule_failed" not in {letter["reason"] for letter in letters}
    assert all(letter["origin"].startswith(f"kafka:{name_of(topic)}/0/") for letter in letters)
    assert whole.state == alone.state
    assert whole.main == alone.main


@pytest.mark.parametrize(("job", "topic"), STAGES)
def test_any_number_of_them_may_come(job, topic):
    harness = STAGES[job, topic]()
    feed(harness, topic, ((n, b'{"n":%d}' % n) for n in range(MOST_FAILED + 50)))
    assert len(harness.side[DEAD_LETTERS]) == MOST_FAILED + 50


def test_any_number_of_bad_orders_about_rules_may_come():
    harness = BatchedHarness(fraud.judge(CONF, RULES, asking(CONF)))
    rng = Random(1)
    order = b'{"mode":"live","version":"v","pushed_ms":1,"by":"test","rules":' + RULES + b"}"
    for n in range(300):
        harness.control(seal(f"kafka:fraud-rules/0/{n}", T0, fuzzed(order, rng)))
    answers = [json.loads(value) for value in harness.side["rule-answers"]]
    letters = [json.loads(value) for value in harness.side[DEAD_LETTERS]]
    assert len(answers) == 300
    assert len(letters) == sum(not answer["accepted"] for answer in answers)
    assert {letter["reason"] for letter in letters} == {"bad_order"}
