"""Thousands of records that nobody should send, on every topic of a job, among ordinary traffic: the job
runs on without a restart, every unusable one is a dead letter, and the rest is as if they were not there."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import cache, partial
from random import Random
from typing import Any

import orjson
import pytest

from tests.support import ROOT
from tests.support.classes import job_classes
from tests.support.shop import Shop
from tests.udfs.test_nothing_stops_a_stage import CHECKED, GOOD, RULES, TILLS, usable
from tillstream import catalog
from tillstream.catalog import topics
from tillstream.clients.delivery import open_producer
from tillstream.clients.kafka import client_settings
from tillstream.connectors.gateway import ours
from tillstream.domain.dead_letter import id_of
from tillstream.domain.fraud.control import InForce, Refused, apply_order
from tillstream.domain.fraud.ruleset import load_rules
from tillstream.domain.personal.personal_data import mask_personal_data
from tillstream.reference import packaged_clocks
from tillstream.sim.fuzz import fuzzed

MOST_BYTES = 1_040_000
QUIET_S = 120
ORDER = b'{"mode":"live","version":"v","pushed_ms":1,"by":"test","rules":' + RULES + b"}"


def topics_of(job: str) -> list[str]:
    entry = catalog.job(job)
    tills = [TILLS if entry.raw else CHECKED] if entry.transactions else []
    return [*tills, *(topic.id for topic in entry.reads)]


ORDERS = {
    topics.FRAUD_RULES.id: ORDER,
    topics.ASSORTMENT.id: (
        ROOT / "state_schemas/events/assortment/examples/valid/relist_in_a_store.json"
    ).read_bytes(),
}


SEVERAL = re.compile(rb"\}[ \n\r\t]*\{|\n\{|\A[ \n\r\t]*\[|\A\x1f\x8b|\A\xef\xbb\xbf")


@cache
def taken_apart() -> Any:
    """Looked up once: by name it would be a dozen questions to the JVM."""
    return ours().Pieces.of


def pieces_of(raw: bytes) -> list[bytes]:
    """As the source takes a record apart, which has tests of its own."""
    if not SEVERAL.search(raw):
        return [raw]
    return [bytes(piece) for piece in taken_apart()(raw)]


def unusable(job: str, topic: str, seed: int, count: int) -> Iterator[tuple[bytes, list[bytes]]]:
    """(record, its pieces), none of which can be used."""
    rng = Random(f"{topic}/{seed}")
    good = (GOOD | ORDERS)[topic]
    while count:
        raw = fuzzed(good, rng)
        if len(raw) > MOST_BYTES:
            continue  # no broker takes it
        pieces = pieces_of(raw)
        fits = good_order if topic == topics.FRAUD_RULES.id else partial(usable, topic, job=job)
        if not any(fits(piece) for piece in pieces):
            count -= 1
            yield raw, pieces


def good_order(raw: bytes) -> bool:
    places = packaged_clocks()
    try:
        apply_order(raw, InForce(load_rules(RULES, places), None), places)
    except Refused:
        return False
    return True


def bury(shop: Shop, job: str, seed: int, count: int) -> set[str]:
    """Sends ``count`` to each topic of the job; the ids of their dead letters."""
    conf = shop.conf()
    producer = open_producer(client_settings(conf) | {"message.max.bytes": 1_048_000})
    ids: set[str] = set()
    for topic in topics_of(job):
        known = topics.BY_ID.get(topic)
        name = conf.topic(known) if known else conf.source.kafka.topic
        # Of an order about rules a whole rule set is made, here and by each subtask.
        many = count // 10 if topic == topics.FRAUD_RULES.id else count
        for raw, pieces in unusable(job, topic, seed, many):

            def arrived(error, message, pieces=pieces):
                assert error is None, error
                place = f"kafka:{message.topic()}/{message.partition()}/{message.offset()}"
                ids.update(id_of(place, mask_personal_data(piece)) for piece in pieces)

            producer.produce(name, raw, on_delivery=arrived)
            producer.poll(0)
    assert producer.flush(60) == 0
    return ids


def dead_letters(shop: Shop, job: str) -> dict[str, dict]:
    said = shop.run("dlq", "list", "--json", "--job", job)
    found = (orjson.loads(line) for line in said.splitlines() if line.startswith("{"))
    return {one["dead_letter_id"]: one for one in found}


def all_that_come(shop: Shop, job: str, expected: set[str]) -> dict[str, dict]:
    """Its dead letters once all that are expected are there, or none has come for a while."""
    within(shop, len(expected))
    found = dead_letters(shop, job)
    newest = time.monotonic()
    while not set(found) >= expected and time.monotonic() - newest < QUIET_S:
        time.sleep(3)
        before, found = len(found), dead_letters(shop, job)
        if len(found) > before:
            newest = time.monotonic()
    return found


def within(shop: Shop, count: int) -> None:
    """Until so many places of the topic of dead letters are taken, or no more for a while: to read tens of
    thousands of them again and again would take longer than to write them."""
    seen, newest = -1, time.monotonic()
    while seen < count and time.monotonic() - newest < QUIET_S:
        time.sleep(1)
        before, seen = seen, shop.written(topics.DEAD_LETTERS)
        if seen > before:
            newest = time.monotonic()


def lives_through(open_shop, job: str, seed: int, count: int) -> None:
    job_classes()
    shop = open_shop(f"fuzz-{job}-{seed}", "kafka")
    shop.submit(job)
    began_ms = int(time.time() * 1000)
    # Of few products: the stand-in for DynamoDB looks through the changes of all its streamed tables for each
    # item, so tens of thousands of items of one test slow the next.
    few = ("--stores", "4", "--products", "40")
    feed = shop.feed(50, *few) if catalog.job(job).transactions else None
    expected = bury(shop, job, seed, count)
    if feed:
        feed.stop()
    found = all_that_come(shop, job, expected)
    assert set(found) == expected
    reasons = {failure["reason"] for one in found.values() for failure in one["failures"]}
    assert "rule_failed" not in reasons
    run = shop.running(job)
    (state,) = [one for one in shop.rest().jobs() if one["jid"] == run]
    assert state["state"] == "RUNNING"
    assert not shop.rest().exceptions(run, since_ms=began_ms)
    if job == "loyalty":
        shop.prove()


def test_inventory_lives_through_a_thousand_records_of_every_topic(open_shop):
    lives_through(open_shop, "inventory", 1, 1_000)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("job", catalog.names())
def test_every_job_lives_through_ten_thousand(open_shop, job, seed):
    if job == "sales":
        pytest.skip("leaves what it cannot use to the dead letters of the others")
    lives_through(open_shop, job, seed, 10_000)
