"""Every producer puts a key where Java's puts it, so a key's records stay in one partition, in order."""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.support import ROOT
from tillstream import conf as settings
from tillstream.clients.delivery import deliver, open_producer
from tillstream.clients.kafka import client_settings
from tillstream.clients.whole_topic import read_whole
from tillstream.conf import Conf
from tillstream.connectors import gateway
from tillstream.fraud import topics as fraud_topics
from tillstream.notify.service import Service

PARTITIONS = 4  # a topic of librdkafka's mock broker
OFFSETS = range(12)
ORIGINS = [f"kafka:tillstream.notices/3/{n}" for n in OFFSETS]


@pytest.fixture(scope="module")
def conf():
    """Conf of librdkafka's mock broker."""
    broker = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "", "log_level": 0})
    (found,) = broker.list_topics(timeout=10).brokers.values()
    topics = {"notices": "tillstream.notices", "dead_letters": "letters"}
    kafka = {"bootstrap": f"{found.host}:{found.port}", "topics": topics}
    yield settings.load("local", {"kafka": kafka})
    broker.flush(0)


def by_deliver(conf: Conf) -> str:
    records = [(key.encode(), b"", []) for key in ORIGINS]
    assert not any(r.error for r in deliver(open_producer(client_settings(conf)), "all", records))
    return "all"


def by_fraud(conf: Conf) -> str:
    for key in ORIGINS:
        fraud_topics.put(conf, "labels", key, b"{}")
    return "labels"


def by_notifier(conf: Conf) -> str:
    batch: list[Any] = [
        SimpleNamespace(value=lambda: b"{", topic=lambda: "tillstream.notices", partition=lambda: 3,
                        offset=lambda n=n: n, timestamp=lambda: (1, 0))
        for n in OFFSETS
    ]  # fmt: skip
    notifier: Any = None  # what is no notice does not get that far
    Service(conf, notifier, threading.Event())._handle(batch)
    return "letters"


@pytest.mark.parametrize("write", [by_deliver, by_fraud, by_notifier])
def test_a_key_goes_where_java_puts_it(write: Callable[[Conf], str], conf: Conf, classes) -> None:
    java = gateway.java().org.apache.kafka.clients.producer.internals.BuiltInPartitioner
    found = {m.key().decode(): m.partition() for m in read_whole(conf, "test", write(conf))}
    assert {key.partition("#")[0] for key in found} == set(ORIGINS)
    assert found == {key: java.partitionForKey(key.encode(), PARTITIONS) for key in found}
    assert len(set(found.values())) == PARTITIONS


def test_producers_are_made_in_one_place():
    places = ("tillstream", "benchmarks", "tests/support", "tests/integration")
    made = {
        str(path.relative_to(ROOT))
        for path in (path for place in places for path in (ROOT / place).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Producer"
    }
    assert made == {"tillstream/clients/delivery.py"}, "use clients.delivery.open_producer"
