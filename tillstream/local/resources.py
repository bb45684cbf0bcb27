"""Streams, topics, tables and buckets that the jobs expect, made where they are missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from tillstream.catalog import tables, topics
from tillstream.catalog.resources import Column
from tillstream.clients.kafka import APPEND_TIME, client_settings, not_append_time
from tillstream.clients.wait import wait_until
from tillstream.conf import Conf
from tillstream.local.layout import StackError
from tillstream.local.services import aws, listed

SHARDS = 4
PARTITIONS = 4
TIMEOUT_S = 20.0
FOR_EVER = {"retention.ms": "-1"}

STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


def create_resources(conf: Conf) -> list[str]:
    """Creates what is missing; returns what was created. What exists is left as it is, but that topics
    get the broker's time."""
    kinds = (_topics, _stream, _tables, _bucket, _notice_topics)
    return [made for create in kinds for made in create(conf)]


def _topics(conf: Conf) -> list[str]:
    if conf.kafka.bootstrap is None:
        return []
    client = AdminClient(client_settings(conf))
    there = client.list_topics(timeout=TIMEOUT_S).topics
    wanted: dict[str, dict[str, str]] = {conf.source.kafka.topic: {}} | {
        conf.topic(topic): FOR_EVER if topic.kept else {} for topic in topics.ALL
    }
    altered = _by_arrival(client, wanted.keys() & there.keys())
    missing = {name: config for name, config in wanted.items() if name not in there}
    if not missing:
        return altered
    futures = client.create_topics(
        [
            NewTopic(name, PARTITIONS, 1, config=config | APPEND_TIME)
            for name, config in missing.items()
        ]
    )
    for name, future in futures.items():
        try:
            future.result(TIMEOUT_S)
        except KafkaException as error:
            if "TOPIC_ALREADY_EXISTS" not in str(error):
                raise StackError(f"Kafka refuses topic {name}: {error}") from None
    # The broker's own view of its topics lags behind its answer.
    wait_until(
        lambda: set(missing) <= set(client.list_topics(timeout=TIMEOUT_S).topics),
        TIMEOUT_S,
        "see `tillstream status`: Kafka's list of topics is not ready",
    )
    return [*altered, *(f"topic {name}" for name in missing)]


def _by_arrival(client: AdminClient, there: Iterable[str]) -> list[str]:
    """Gives topics of an earlier release the broker's time; says of which."""
    (name,) = APPEND_TIME
    found = sorted(not_append_time(client, there, TIMEOUT_S))
    entry = ConfigEntry(name, APPEND_TIME[name], incremental_operation=AlterConfigOpType.SET)
    resources = [
        ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry]) for topic in found
    ]
    for topic, future in (client.incremental_alter_configs(resources) if found else {}).items():
        try:
            future.result(TIMEOUT_S)
        except KafkaException as error:
            raise StackError(f"Kafka refuses {name} of topic {topic.name}: {error}") from None
    return [f"{name} of topic {topic}" for topic in found]


def _stream(conf: Conf) -> list[str]:
    source = conf.source.kinesis
    if source.endpoint is None:
        return []
    client = aws("kinesis", source.endpoint)
    if source.stream in listed(client, "list_streams", "StreamNames"):
        return []
    client.create_stream(StreamName=source.stream, ShardCount=SHARDS)

    def active() -> bool:
        summary = client.describe_stream_summary(StreamName=source.stream)
        return summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE"

    what = f"see `tillstream status`: Kinesis stream {source.stream} is not ready"
    wait_until(active, TIMEOUT_S, what)
    return [f"stream {source.stream}"]


def _tables(conf: Conf) -> list[str]:
    if conf.dynamodb.endpoint is None:
        return []
    client = aws("dynamodb", conf.dynamodb.endpoint)
    there = listed(client, "list_tables", "TableNames")
    missing = {conf.table(table): table for table in tables.HOT if conf.table(table) not in there}
    for name, table in missing.items():
        index_key = table.index.key if table.index else ()
        options: dict[str, Any] = {}
        if table.index:
            options["GlobalSecondaryIndexes"] = [
                {
                    "IndexName": table.index.name,
                    "KeySchema": _key_schema(index_key),
                    "Projection": {"ProjectionType": "ALL"},
                }
            ]
        if table.streamed:
            options["StreamSpecification"] = STREAM
        client.create_table(
            TableName=name,
            KeySchema=_key_schema(table.key),
            AttributeDefinitions=[
                {"AttributeName": attribute, "AttributeType": kind}
                for attribute, kind in (*table.key, *index_key)
            ],
            BillingMode="PAY_PER_REQUEST",
            **options,
        )
        if table.ttl:
            client.update_time_to_live(
                TableName=name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl},
            )
    return [f"table {name}" for name in missing]


def _key_schema(attributes: tuple[Column, ...]) -> list[dict[str, str]]:
    return [
        {"AttributeName": attribute, "KeyType": role}
        for (attribute, _), role in zip(attributes, ("HASH", "RANGE"), strict=False)
    ]


def _notice_topics(conf: Conf) -> list[str]:
    """SNS topics of the settings, on the local stand-in only."""
    if conf.notify.sns_endpoint is None:
        return []
    client = aws("sns", conf.notify.sns_endpoint)
    there = {topic["TopicArn"] for topic in listed(client, "list_topics", "Topics")}
    missing = [arn for arn in conf.notify.sns_topics.values() if arn not in there]
    for arn in missing:
        client.create_topic(Name=arn.rpartition(":")[2])
    return [f"SNS topic {arn.rpartition(':')[2]}" for arn in missing]


def _bucket(conf: Conf) -> list[str]:
    if conf.s3.endpoint is None:
        return []
    client = aws("s3", conf.s3.endpoint)
    if conf.s3.bucket in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        return []
    # Without a location constraint, which the S3 stand-in does not know: boto3 adds none itself.
    with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=conf.s3.bucket)
    return [f"bucket {conf.s3.bucket}"]
