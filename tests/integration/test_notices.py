"""The notifier on real Kafka and DynamoDB: killed in mid-sending, it repeats nothing and hides nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer

from tests.support.shop import Shop
from tests.support.wait import wait_for
from tillstream.catalog import topics
from tillstream.clients.delivery import open_producer
from tillstream.domain.notice import notice
from tillstream.local.services import aws

COUNT = 300


@pytest.fixture
def shop(stack, tmp_path: Path) -> Shop:
    stack.up()
    shop = Shop(stack, f"tell-{os.urandom(3).hex()}", tmp_path, "kafka")
    pace = {"sms": 400, "alert": 400, "order": 400}
    shop.change(notify={"per_second": pace, "lease_s": 1})
    return shop


def ask(shop: Shop, numbers, *rubbish: bytes) -> set[str]:
    """Puts notices on the topic, each twice; returns their ids."""
    producer = open_producer({"bootstrap.servers": shop.conf().kafka.bootstrap or ""})
    topic = shop.conf().topic(topics.NOTICES)
    now = time.time_ns() // 1_000_000
    made = [notice("sms", f"customer:C{n:010d}", "redeemed", f"tx-{n}", now, {}) for n in numbers]
    for one in [*made, *made]:
        producer.produce(topic, msgspec.json.encode(one), one.notice_id)
    for raw in rubbish:
        producer.produce(topic, raw)
    assert producer.flush(20) == 0
    return {one.notice_id for one in made}


def outbox(shop: Shop) -> list[str]:
    file = Path(shop.conf().notify.file or "")
    return (
        [json.loads(x)["notice_id"] for x in file.read_text().splitlines()] if file.exists() else []
    )


def test_killed_in_mid_sending_it_sends_nothing_twice_and_shows_what_is_uncertain(shop):
    ids = ask(shop, range(COUNT), b"no notice at all")
    command = [sys.executable, "-m", "tillstream.cli", "notify", "run"]
    first = subprocess.Popen(command, env=shop.environment, stdout=subprocess.DEVNULL)
    wait_for(
        lambda: outbox(shop),
        120,
        f"{COUNT // 5} notices",
        lambda sent: len(sent) >= COUNT // 5,
        0.005,
    )
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert 0 < len(outbox(shop)) < COUNT

    time.sleep(1.1)  # claims are of one second, by a clock of this machine
    shop.run("notify", "run", "--until-idle", "6")
    sent = outbox(shop)
    assert len(sent) == len(set(sent))
    uncertain = [json.loads(x) for x in shop.run("notify", "list", "--json").splitlines()]
    assert len(uncertain) <= shop.conf().notify.workers
    assert {one["status"] for one in uncertain} <= {"uncertain"}
    # All that is not sent for certain is shown; what was sent and not marked may be among it.
    assert set(sent) | {one["notice_id"] for one in uncertain} == ids

    for one in uncertain:
        decision = "dismiss" if one["notice_id"] in sent else "resend"
        shop.run("notify", decision, one["notice_id"], "--by", "a test")
    assert sorted(outbox(shop)) == sorted(ids)
    assert shop.run("notify", "list", "--json") == ""
    assert "nothing to decide" in shop.run("notify", "resend", sorted(ids)[0], fails=True)

    buried = Consumer(
        {
            "bootstrap.servers": shop.conf().kafka.bootstrap or "",
            "group.id": "test",
            "auto.offset.reset": "earliest",
        }
    )
    buried.subscribe([shop.conf().topic(topics.DEAD_LETTERS)])
    letters = buried.consume(1, timeout=15)
    buried.close()
    assert letters[0].value() == b"no notice at all"
    assert dict(letters[0].headers() or ())["tillstream.reason"] == b"not_json"


def test_notices_are_published_to_the_topic_of_their_kind(shop):
    ids = ask(shop, range(3))
    endpoint = shop.conf().notify.sns_endpoint or ""
    topic = shop.conf().notify.sns_topics["sms"]
    queue = aws("sqs", endpoint).create_queue(QueueName="tell")["QueueUrl"]
    arn = aws("sqs", endpoint).get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    aws("sns", endpoint).subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
    )
    shop.run("notify", "run", "--sender", "sns", "--until-idle", "6")
    received = aws("sqs", endpoint).receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
    bodies = [json.loads(json.loads(one["Body"])["Message"]) for one in received["Messages"]]
    assert {one["notice_id"] for one in bodies} == ids
    assert len(bodies) == 3
