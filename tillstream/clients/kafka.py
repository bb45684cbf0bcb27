"""Kafka clients from conf, made to give up within seconds: a person waits for them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.exceptions import BotoCoreError
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from tillstream.conf import Conf
from tillstream.errors import Unreachable

CONNECT_S = 8.0  # how long a broker may take to answer at first
# Of every consumer, whatever conf's properties say: what was written in a transaction is read once it is
# committed, and never if it was not.
COMMITTED = {"isolation.level": "read_committed"}
# A record's time is when the broker took it, not what the producer's clock shows.
APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
LOOKED_BACK = 16
ANSWER_S = 10.0  # and how long to any question after

# Conf names Kafka's settings as the JVM does; these exist there only.
_JVM_ONLY = re.compile(
    r"sasl\.jaas\.config|.*\.class|.*serializer|.*\.classes|metric\.reporters|buffer\.memory"
    r"|max\.request\.size|max\.block\.ms|max\.poll\.records|fetch\.max\.wait\.ms|client\.rack"
    r"|default\.api\.timeout\.ms|request\.timeout\.ms|ssl\.truststore\..*|ssl\.keystore\.type"
    r"|ssl\.protocol|ssl\.enabled\.protocols|sasl\.kerberos\..*cmd|reconnect\.backoff\.max\.ms"
)
_IN_JAAS = re.compile(r'(username|password)="((?:[^"\\]|\\.)*)"')


def kafka_settings(
    bootstrap: str | None, properties: Mapping[str, str], region: str
) -> dict[str, Any]:
    """Settings of a librdkafka client from the JVM-style ``properties`` of conf.

    ``region`` is that of the brokers, for signing in with IAM. Raises Unreachable without
    a bootstrap or credentials.
    """
    if not bootstrap:
        raise Unreachable(
            "no Kafka address: start the local stack with `tillstream up`, or set kafka.bootstrap"
        )
    settings: dict[str, Any] = {
        # The JVM has user and password of SCRAM and PLAIN in one line.
        **{f"sasl.{n}": v for n, v in _IN_JAAS.findall(properties.get("sasl.jaas.config", ""))},
        **{name: value for name, value in properties.items() if not _JVM_ONLY.fullmatch(name)},
    }
    settings |= {
        "bootstrap.servers": bootstrap,
        "socket.connection.setup.timeout.ms": 3000,
        # Connection trouble is reported once, by the command, not by the library line by line.
        "log_level": 0,
        "logger": logging.getLogger("tillstream.kafka"),
        "error_cb": lambda error: None,
    }
    if settings.get("sasl.mechanism") == "AWS_MSK_IAM":
        # The JVM's name for it; librdkafka sends the same signature as a bearer's token.
        msk_token(region)  # a client would wait 10 s for it and not say why there is none
        settings["sasl.mechanism"] = "OAUTHBEARER"
        settings["oauth_cb"] = lambda _: msk_token(region)
    return settings


def client_settings(conf: Conf) -> dict[str, Any]:
    """``kafka_settings`` for the brokers that conf.kafka names."""
    return kafka_settings(conf.kafka.bootstrap, conf.kafka.properties, conf.region)


def source_settings(conf: Conf) -> dict[str, Any]:
    """``kafka_settings`` for the brokers of the till transactions: those of conf.kafka unless
    conf.source.kafka says otherwise."""
    bootstrap = conf.source.kafka.bootstrap or conf.kafka.bootstrap
    return kafka_settings(bootstrap, conf.source_properties, conf.region)


def reader_settings(conf: Conf, command: str) -> dict[str, Any]:
    """``client_settings`` of a consumer that takes its partitions itself and commits nothing.

    librdkafka wants a group all the same: ``<deployment>.<command>``, which nothing ever joins.
    """
    return {
        **client_settings(conf),
        **COMMITTED,
        "group.id": conf.own_name(command),
        "enable.auto.commit": False,
        "allow.auto.create.topics": False,
    }


def msk_token(region: str) -> tuple[str, float]:
    """(token, expiry in s since the epoch) of the caller's AWS identity for MSK.

    Signed on this machine. Raises Unreachable without credentials.
    """
    try:
        token, expires_ms = MSKAuthTokenProvider.generate_auth_token(region)
    except (AttributeError, ValueError, BotoCoreError) as error:
        # The signer trips over None where there are no credentials.
        why = "there are none" if isinstance(error, AttributeError) else error
        raise Unreachable(
            f"Kafka needs AWS credentials ({why}): set AWS_PROFILE, run with a role, or "
            "start the local stack with `tillstream up`"
        ) from None
    return token, expires_ms / 1000


def partitions(client: Any, topic: str, bootstrap: str | None) -> list[int]:
    """The topic's partitions; Unreachable with the fix when the broker or the topic is not there."""
    try:
        known = client.list_topics(topic, timeout=CONNECT_S).topics[topic]
    except KafkaException as error:
        raise unreachable(bootstrap, error.args[0]) from None
    if known.error is not None:
        raise Unreachable(
            f"Kafka at {bootstrap}: topic {topic}: {known.error.str()}. Create it (`tillstream up` "
            "does so locally) or correct its name in conf"
        )
    return list(known.partitions)


def not_append_time(
    client: AdminClient, topics: Iterable[str], timeout_s: float = 10.0
) -> dict[str, str]:
    """The topics whose records do not have the broker's time, each with what it has, or why that is not
    known. Those that do not exist are left out."""
    (name,) = APPEND_TIME
    found = {}
    asked = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
    for topic, future in (client.describe_configs(asked) if asked else {}).items():
        try:
            said = future.result(timeout_s)[name].value
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                continue
            said = error.args[0].str()
        if said != APPEND_TIME[name]:
            found[topic.name] = said
    return found


def watermarks(conf: Conf, topic: str, bootstrap: str | None) -> dict[int, tuple[int, int]]:
    """Partition -> (oldest offset kept, next offset to come)."""
    with asked(conf, topic, bootstrap, conf.own_name("replay")) as (consumer, places):
        try:
            return {one.partition: consumer.get_watermark_offsets(one, ANSWER_S) for one in places}
        except KafkaException as error:
            raise unreachable(bootstrap, error.args[0]) from None


def last_before(
    conf: Conf, topic: str, bootstrap: str | None, positions: Mapping[int, int]
) -> dict[int, int]:
    """Partition -> timestamp (ms) of the last record before its position, where one is there within
    ``LOOKED_BACK`` offsets: the last of them may be marks of a producer's transactions."""
    found: dict[int, int] = {}
    with asked(conf, topic, bootstrap, conf.own_name("replay")) as (consumer, places):
        marks = {one.partition: consumer.get_watermark_offsets(one, ANSWER_S) for one in places}
        places = [
            TopicPartition(topic, number, max(at - LOOKED_BACK, marks[number][0]))
            for number, at in positions.items()
            if number in marks and marks[number][0] < at <= marks[number][1]
        ]
        consumer.assign(places)
        left = {place.partition for place in places}
        while left and (message := consumer.poll(ANSWER_S)):
            number, at = message.partition(), message.offset()
            assert number is not None
            assert at is not None
            if message.error() or at >= positions[number] - 1:
                left.discard(number)
            if not message.error() and at < positions[number]:
                found[number] = message.timestamp()[1]
    return found


def first_from(
    conf: Conf, topic: str, bootstrap: str | None, positions: Mapping[int, int]
) -> dict[int, int]:
    """Partition -> timestamp (ms) of the first record at or after its position, where there is one."""
    found: dict[int, int] = {}
    with asked(conf, topic, bootstrap, conf.own_name("replay")) as (consumer, places):
        numbers = {place.partition for place in places} & positions.keys()
        consumer.assign([TopicPartition(topic, number, positions[number]) for number in numbers])
        left = set(numbers)
        while left and (message := consumer.poll(ANSWER_S)):
            number = message.partition()
            assert number is not None
            left.discard(number)
            if not message.error():
                found.setdefault(number, message.timestamp()[1])
    return found


@contextmanager
def asked(
    conf: Conf, topic: str, bootstrap: str | None, group: str, offset: int = OFFSET_INVALID
) -> Iterator[tuple[Consumer, list[TopicPartition]]]:
    """A consumer that joins no group, and the topic's partitions at ``offset``."""
    settings = kafka_settings(bootstrap, conf.source_properties, conf.region)
    own = {"group.id": group, "enable.auto.commit": False, "enable.partition.eof": True}
    with closing(Consumer(settings | own | COMMITTED)) as consumer:
        numbers = partitions(consumer, topic, bootstrap)
        yield consumer, [TopicPartition(topic, number, offset) for number in numbers]


def unreachable(bootstrap: str | None, error: KafkaError) -> Unreachable:
    if error.code() == KafkaError._INVALID_ARG:
        return Unreachable(f"kafka.properties in conf: {error.str()}")
    return Unreachable(
        f"Kafka at {bootstrap} does not answer ({error.str()}): start the local stack with "
        "`tillstream up`, or correct kafka.bootstrap in conf"
    )
