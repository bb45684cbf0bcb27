"""Topics are made and set as the catalogue says; none is deleted or shrunk."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra import golden
from tillstream import conf
from tillstream.catalog import topics
from tillstream.infra import kafka_topics
from tillstream.infra.kafka_topics import Found, steps, wanted

WANTED = wanted(golden.CONF, topics.ALL)
BY_NAME = {one.name: one for one in WANTED}
SALES = BY_NAME["sales-by-hour"]


def as_it_should_be() -> dict[str, Found]:
    return {one.name: Found(one.partitions, dict(one.config)) for one in WANTED}


def test_every_topic_has_the_broker_s_time_and_waits_for_two_replicas():
    assert len(WANTED) == len(topics.ALL)
    for one in WANTED:
        assert one.config["message.timestamp.type"] == "LogAppendTime"
        assert one.config["min.insync.replicas"] == "2"
        assert (one.partitions, one.replicas) == (24, 3)


def test_what_a_job_reads_from_the_start_is_kept_for_ever():
    kept = {one.name for one in WANTED if one.config["retention.ms"] == "-1"}
    assert kept == {golden.CONF.topic(one) for one in topics.ALL if one.kept}
    assert SALES.config["retention.ms"] == str(168 * 3_600_000)


def test_the_tills_topic_is_ours_where_they_send_to_our_brokers():
    own = conf.load("prod", {"source": {"kind": "kafka"}})
    other = conf.load("prod", {"source": {"kind": "kafka", "kafka": {"bootstrap": "other:9098"}}})
    assert "till-transactions" in [one.name for one in wanted(own, ())]
    assert wanted(other, ()) == []


def test_a_missing_topic_is_made_and_one_that_fits_left_alone():
    there = as_it_should_be()
    del there["sales-by-hour"]
    found = steps(WANTED, there)
    assert [one.topic.name for one in found if one.what == "make"] == ["sales-by-hour"]
    assert {one.what for one in found} == {"make", "fine"}


def test_a_topic_with_the_producers_time_is_set():
    there = as_it_should_be()
    there["sales-by-hour"].config["message.timestamp.type"] = "CreateTime"
    (one,) = [step for step in steps(WANTED, there) if step.what != "fine"]
    assert one.what == "set"
    assert one.differs == {"message.timestamp.type": ("CreateTime", "LogAppendTime")}


@pytest.mark.parametrize(("partitions", "grows"), [(12, True), (48, False)])
def test_other_partitions_are_told_and_only_ever_become_more(partitions, grows):
    there = as_it_should_be()
    there["sales-by-hour"] = Found(partitions, dict(SALES.config))
    (one,) = [step for step in steps(WANTED, there) if step.what != "fine"]
    assert one.what == "grow"
    assert kafka_topics.grows(one) is grows


class FakeAdmin:
    """Of the calls, those made."""

    def __init__(self, _: dict[str, Any]) -> None:
        self.made: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def call(what: list[Any]) -> dict[str, Any]:
            self.made.append((name, what[0]))
            return {}

        return call


@pytest.fixture
def cluster(monkeypatch) -> kafka_topics.Cluster:
    monkeypatch.setattr(kafka_topics, "AdminClient", FakeAdmin)
    monkeypatch.setattr(kafka_topics, "client_settings", lambda conf: {})
    return kafka_topics.Cluster(golden.CONF)


def test_partitions_are_added_only_where_asked_for(cluster):
    there = as_it_should_be()
    there["sales-by-hour"] = Found(12, dict(SALES.config))
    (step,) = [one for one in steps(WANTED, there) if one.what == "grow"]
    cluster.take(step, grow=False)
    assert cluster._client.made == []
    cluster.take(step, grow=True)
    assert [name for name, _ in cluster._client.made] == ["create_partitions"]


def test_only_what_differs_is_set(cluster):
    there = as_it_should_be()
    there["sales-by-hour"].config["retention.ms"] = "1"
    (step,) = [one for one in steps(WANTED, there) if one.what == "set"]
    cluster.take(step, grow=True)
    ((name, resource),) = cluster._client.made
    assert name == "incremental_alter_configs"
    assert [(e.name, e.value) for e in resource.incremental_configs] == [
        ("retention.ms", str(168 * 3_600_000))
    ]
