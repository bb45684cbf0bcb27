"""Ordinary traffic of every profile through every job and the notifier leaves no dead letter: whoever looks
at them finds only what somebody sent broken."""

from __future__ import annotations

import json
import time
from itertools import count
from pathlib import Path

from tests.support.shop import Shop
from tests.support.wait import wait_for
from tillstream import catalog
from tillstream.catalog import topics

PROFILES = ("normal", "black-friday", "quiet-night", "payday")
SENT = 800  # of each
SHOP = ("--stores", "6", "--movements", "0.05", "--flat-out", "--start")
# Who reads what another job writes comes after it.
JOBS = ("intake", "promotions", "loyalty", "fraud", "inventory", "shortage", "archive", "sales")
HOURS = 3


def all_read_by(shop: Shop, job: str) -> None:
    entry = catalog.job(job)
    conf = shop.conf().of(entry)
    # Behind the records of a topic that it writes itself are marks of its transactions.
    own = {end.id for end in entry.writes}
    names = [conf.topic(topic) for topic in entry.reads if topic.id not in own]
    names += [conf.source.kafka.topic] if entry.transactions else []
    shop.submit(job, alone=True)
    shop.wait_until_read(job, names=names)
    run = shop.running(job)
    assert not shop.rest().exceptions(run, since_ms=0)
    shop.rest().cancel(run)
    wait_for(lambda: shop.running(job), 60, f"{job} to end", "".__eq__, every_s=0.5)


def test_no_profile_leaves_a_dead_letter_that_was_not_planted(open_shop):
    assert set(JOBS) == set(catalog.names())
    shop = open_shop("ordinary", "kafka")
    hours_ago = count(HOURS * len(PROFILES), -HOURS)
    for seed, profile in enumerate(PROFILES, start=1):
        start = time.gmtime(time.time() - next(hours_ago) * 3_600)
        options = ("--profile", profile, "--count", str(SENT), "--seed", str(seed), *SHOP)
        shop.run("sim", "--to", "kafka", *options, time.strftime("%Y-%m-%dT%H:%M:%S", start))
    for job in JOBS:
        all_read_by(shop, job)
    assert shop.written(topics.LOYALTY_EVENTS) > SENT
    assert shop.written(topics.STOCK_CHANGES) > SENT
    shop.run("notify", "run", "--until-idle", "6")
    assert Path(shop.conf().notify.file or "").read_text()
    said = shop.run("dlq", "list", "--json").splitlines()
    letters = [json.loads(line) for line in said if line.startswith("{")]
    assert letters == []
