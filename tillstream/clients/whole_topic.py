"""A Kafka topic read whole: from its beginning to where it ended when the reading began."""

from __future__ import annotations

import time
from collections.abc import Iterator

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from tillstream.clients.kafka import CONNECT_S, partitions, reader_settings, unreachable
from tillstream.conf import Conf
from tillstream.errors import Unreachable

SILENCE_S = 15.0  # how long a broker may take to send anything once it answered


def read_whole(conf: Conf, command: str, topic: str) -> Iterator[Message]:
    """Every committed record, a partition's in order. ``command`` as in ``reader_settings``.

    Raises Unreachable when the broker or the topic is not there, or sends nothing more.
    """
    settings = {"enable.partition.eof": True, "auto.offset.reset": "earliest"}
    consumer = Consumer({**reader_settings(conf, command), **settings})
    try:
        yield from _read(consumer, topic, conf.kafka.bootstrap)
    except KafkaException as error:
        raise unreachable(conf.kafka.bootstrap, error.args[0]) from None
    finally:
        consumer.close()


def poll_many(consumer: Consumer, wait_s: float, most: int = 1000) -> list[Message]:
    """What has come, at the latest after ``wait_s``. consume() alone would wait for ``most``."""
    first = consumer.poll(wait_s)
    return [] if first is None else [first, *consumer.consume(most, 0)]


def _read(consumer: Consumer, topic: str, bootstrap: str | None) -> Iterator[Message]:
    ends: dict[int, int] = {}
    for number in partitions(consumer, topic, bootstrap):
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), CONNECT_S)
        if high > low:
            ends[number] = high
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in ends])
    last_heard = time.monotonic()
    while ends:
        messages = poll_many(consumer, 0.5)
        if messages:
            last_heard = time.monotonic()
        elif time.monotonic() - last_heard > SILENCE_S:
            raise Unreachable(
                f"Kafka at {bootstrap} stopped answering while {topic} was read: "
                "see `tillstream status`, then try again"
            )
        for message in messages:
            error, partition, offset = message.error(), message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            if error is not None:
                # The end may be a transaction's mark, which is never delivered: EOF tells of it.
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                ends.pop(partition, None)
                continue
            end = ends.get(partition, 0)
            if offset >= end - 1:
                ends.pop(partition, None)
            if offset < end:
                yield message
