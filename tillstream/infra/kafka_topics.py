"""Kafka topics on a cluster: compared with the catalogue, and made where they are missing.

CloudFormation knows no topics of MSK. Nothing here deletes a topic, shrinks one, or changes its data;
topics are made with the broker's time, which the jobs insist on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from tillstream.catalog.resources import Topic
from tillstream.clients.kafka import ANSWER_S, APPEND_TIME, client_settings, unreachable
from tillstream.conf import Conf
from tillstream.errors import Problem

FOR_EVER = "-1"
HOUR_MS = 3_600_000
# What is to be done with a topic. Records of one key are in order because they are in one partition, and
# another number of partitions moves keys. So `grow` is done on request only, and more partitions than
# wanted are left alone.
What = Literal["make", "grow", "set", "fine"]


class Wanted(NamedTuple):
    """A topic as it should be; ``config`` as Kafka writes it."""

    name: str
    partitions: int
    replicas: int
    config: dict[str, str]


class Found(NamedTuple):
    """A topic as it is."""

    partitions: int
    config: dict[str, str]


class Step(NamedTuple):
    """``differs``: setting -> (as it is, as it should be)."""

    what: What
    topic: Wanted
    differs: dict[str, tuple[str, str]]


def wanted(conf: Conf, topics: Iterable[Topic]) -> list[Wanted]:
    """By name. The topic of the tills is among them where they send to Kafka."""
    kept = {conf.topic(one): one.kept for one in topics}
    if conf.source.kind == "kafka" and conf.source.kafka.bootstrap in (None, conf.kafka.bootstrap):
        kept[conf.source.kafka.topic] = False
    settings = conf.infra.topics
    return [
        Wanted(
            name, settings.partitions, settings.replicas,
            APPEND_TIME | {
                "min.insync.replicas": str(settings.in_sync_replicas),
                "retention.ms": FOR_EVER if for_ever else str(settings.retention_hours * HOUR_MS),
                "cleanup.policy": "delete",
            },
        )
        for name, for_ever in sorted(kept.items())
    ]  # fmt: skip


def steps(topics: Iterable[Wanted], there: Mapping[str, Found]) -> list[Step]:
    """What it takes to get there."""
    return [_step(topic, there.get(topic.name)) for topic in topics]


def _step(topic: Wanted, found: Found | None) -> Step:
    if found is None:
        return Step("make", topic, {})
    differs = {
        name: (found.config.get(name, "unknown"), value)
        for name, value in topic.config.items()
        if found.config.get(name) != value
    }
    if found.partitions != topic.partitions:
        differs["partitions"] = (str(found.partitions), str(topic.partitions))
    if differs.keys() - {"partitions"}:
        return Step("set", topic, differs)
    return Step("grow" if differs else "fine", topic, differs)


class Cluster:
    """The brokers of conf.kafka. Every call raises Unreachable or Problem."""

    def __init__(self, conf: Conf) -> None:
        self._bootstrap = conf.kafka.bootstrap
        self._client = AdminClient(client_settings(conf))

    def there(self, names: Iterable[str]) -> dict[str, Found]:
        """Those of the topics that exist."""
        try:
            listed = self._client.list_topics(timeout=ANSWER_S).topics
            here = [name for name in names if name in listed]
            asked = [ConfigResource(ResourceType.TOPIC, name) for name in here]
            said = self._client.describe_configs(asked) if asked else {}
            configs = {one.name: future.result(ANSWER_S) for one, future in said.items()}
        except KafkaException as error:
            raise unreachable(self._bootstrap, error.args[0]) from None
        return {
            name: Found(
                len(listed[name].partitions),
                {n: str(one.value) for n, one in configs[name].items()},
            )
            for name in here
        }

    def take(self, step: Step, grow: bool) -> None:
        """Does what the step says; more partitions only with ``grow``."""
        topic = step.topic
        if step.what == "make":
            made = NewTopic(topic.name, topic.partitions, topic.replicas, config=topic.config)
            self._done(self._client.create_topics([made]), topic.name)
            return
        entries = [
            ConfigEntry(name, should, incremental_operation=AlterConfigOpType.SET)
            for name, (_, should) in step.differs.items()
            if name != "partitions"
        ]
        if entries:
            changed = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries)
            self._done(self._client.incremental_alter_configs([changed]), topic.name)
        if grow and grows(step):
            more = NewPartitions(topic.name, topic.partitions)
            self._done(self._client.create_partitions([more]), topic.name)

    def _done(self, futures: Mapping[Any, Any], topic: str) -> None:
        for future in futures.values():
            try:
                future.result(ANSWER_S)
            except KafkaException as error:
                said = error.args[0].str()
                fix = "correct infra.topics, or the rights of who calls"
                raise Problem(f"Kafka refuses topic {topic} ({said}): {fix}") from None


def grows(step: Step) -> bool:
    """Whether the topic has fewer partitions than it should have."""
    is_now, should = step.differs.get("partitions", ("0", "0"))
    return int(is_now) < int(should)
