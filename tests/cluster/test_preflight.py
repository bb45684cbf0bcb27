"""A job does not start on topics whose times are the producers'; the local stack alters its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka.admin import ConfigEntry

from tillstream import catalog
from tillstream.cluster import preflight
from tillstream.conf import Conf, load
from tillstream.local import resources

TYPE = "message.timestamp.type"


class Broker:
    """An AdminClient's answers, from topics in memory: name -> timestamp type."""

    def __init__(self, topics: dict[str, str]) -> None:
        self.topics = topics

    def list_topics(self, timeout: float) -> Any:
        return SimpleNamespace(topics=self.topics)

    def describe_configs(self, asked: list[Any]) -> dict[Any, Any]:
        return {one: Answer({TYPE: ConfigEntry(TYPE, self.topics[one.name])}) for one in asked}

    def incremental_alter_configs(self, asked: list[Any]) -> dict[Any, Any]:
        for one in asked:
            (entry,) = one.incremental_configs
            assert entry.name == TYPE
            self.topics[one.name] = entry.value
        return {one: Answer(None) for one in asked}

    def create_topics(self, asked: list[Any]) -> dict[str, Any]:
        self.topics |= {one.topic: one.config[TYPE] for one in asked}
        return {one.topic: Answer(None) for one in asked}


class Answer:
    def __init__(self, value: Any) -> None:
        self.value = value

    def result(self, timeout: float) -> Any:
        return self.value


def conf_of(**source: Any) -> Conf:
    kafka = {"bootstrap": "h:1"}
    return load("local", {"kafka": kafka, "source": {"kind": "kafka", "kafka": kafka, **source}})


@pytest.fixture
def broker(monkeypatch):
    names = [conf_of().topic(topic) for topic in catalog.topics.ALL]
    made = Broker(dict.fromkeys([*names, "till-transactions"], "CreateTime"))
    monkeypatch.setattr(preflight, "AdminClient", lambda settings: made)
    monkeypatch.setattr(resources, "AdminClient", lambda settings: made)
    return made


def test_each_topic_a_job_reads_by_the_producers_clock_is_refused_with_the_fix(broker):
    found = preflight._kafka(conf_of(), catalog.job("shortage"))
    assert [line.split()[2] for line in found] == [
        "till-transactions", "stock-changes", "promotions-inventory", "assortment",
    ]  # fmt: skip
    for text in ("CreateTime", "kafka-configs.sh --bootstrap-server h:1 --alter",
                 "--entity-name stock-changes --add-config message.timestamp.type=LogAppendTime",
                 "`tillstream up`", "transactions.require_append_time: false"):  # fmt: skip
        assert text in found[1]


def test_it_may_be_accepted(broker):
    assert preflight._kafka(conf_of(require_append_time=False), catalog.job("shortage")) == []


def test_up_alters_topics_that_are_there_and_makes_new_ones_so(broker):
    del broker.topics["stock-changes"]
    assert f"{TYPE} of topic till-transactions" in resources._topics(conf_of())
    assert set(broker.topics.values()) == {"LogAppendTime"}
    assert preflight._kafka(conf_of(), catalog.job("shortage")) == []
    assert resources._topics(conf_of()) == []
