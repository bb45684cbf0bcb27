"""A topic is read from its beginning to where it ended, here from librdkafka's own mock broker."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from tillstream import conf as settings
from tillstream.clients.whole_topic import read_whole
from tillstream.errors import Unreachable
from tillstream.fraud.topics import put, read_all, tail


@pytest.fixture
def broker():
    """A producer that is a broker, too, and settings that name it."""
    producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "", "log_level": 0})
    (found,) = producer.list_topics(timeout=10).brokers.values()
    return producer, settings.load("local", {"kafka": {"bootstrap": f"{found.host}:{found.port}"}})


def test_every_record_comes_once_and_what_is_put_meanwhile_is_left(broker):
    producer, conf = broker
    for n in range(500):
        producer.produce("numbers", str(n).encode(), str(n).encode())
    assert producer.flush(10) == 0
    found = []
    for message in read_whole(conf, "test", "numbers"):
        if not found:
            producer.produce("numbers", b"later", b"0")
            producer.flush(10)
        found.append(message.value())
    assert sorted(map(int, found)) == list(range(500))


def test_a_topic_that_is_not_there_is_named_with_the_fix(broker):
    _, conf = broker
    with pytest.raises(Unreachable, match=r"topic absent.*tillstream up"):
        list(read_whole(conf, "test", "absent"))


def test_rules_are_read_by_time_and_answers_only_from_now_on(broker):
    producer, conf = broker
    producer.produce("answers", b"before", timestamp=2_000)
    producer.produce("answers", b"earlier", timestamp=1_000)
    producer.flush(10)
    with tail(conf, "answers") as answers:
        assert answers(0.2) == []
        origin = put(conf, "answers", "key", b"now")
        (found,) = answers(10)
    assert (found.origin, found.value) == (origin, b"now")
    assert [message.value for message in read_all(conf, "answers")][:2] == [b"earlier", b"before"]
