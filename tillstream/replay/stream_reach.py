"""What a stream still holds, and what lies between a savepoint and that: the gap, if there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from tillstream.cli.times import now_ms
from tillstream.clients import aws as clients
from tillstream.clients.kafka import COMMITTED, kafka_settings, partitions
from tillstream.cluster.manifest import Manifest
from tillstream.conf import Conf

KAFKA_S = 10.0
HOUR_MS = 3_600_000
SLACK_MS = 60_000  # of clocks between a savepoint's time and a stream's; overlap does no harm


@dataclass(frozen=True)
class Reach:
    """Kafka: partition -> (oldest offset kept, next offset to come). Kinesis: records that arrived at
    or after ``oldest_ms`` are kept, as far as can be known."""

    kafka: dict[int, tuple[int, int]] = field(default_factory=dict)
    oldest_ms: int = 0


@dataclass(frozen=True)
class Gap:
    """What the stream no longer holds. Kafka: partition -> offsets [first, last + 1). Kinesis:
    arrival times [from_ms, to_ms), wide enough for whatever clocks differ by."""

    offsets: dict[int, tuple[int, int]] = field(default_factory=dict)
    from_ms: int = 0
    to_ms: int = 0

    def __bool__(self) -> bool:
        return bool(self.offsets) or self.to_ms > self.from_ms

    @property
    def ends(self) -> dict[int, int]:
        """Partition -> the first offset behind the gap."""
        return {number: end for number, (_, end) in self.offsets.items()}


def reach(conf: Conf) -> Reach:
    """Asks the stream that conf.source names. Raises Unreachable when it is not to be had."""
    if conf.source.kind == "kafka":
        settings = conf.source.kafka
        return Reach(kafka=watermarks(conf, settings.topic, settings.bootstrap))
    client = clients.kinesis(conf)
    found = client.describe_stream_summary(StreamName=conf.source.kinesis.stream)
    summary = found["StreamDescriptionSummary"]
    kept_ms = summary["RetentionPeriodHours"] * HOUR_MS
    made_ms = int(summary["StreamCreationTimestamp"].timestamp() * 1000)
    return Reach(oldest_ms=max(made_ms, now_ms() - kept_ms))


def watermarks(conf: Conf, topic: str, bootstrap: str | None) -> dict[int, tuple[int, int]]:
    """Partition -> (oldest offset kept, next offset to come)."""
    with _asked(conf, topic, bootstrap, conf.own_name("replay")) as (consumer, asked):
        return {one.partition: consumer.get_watermark_offsets(one, KAFKA_S) for one in asked}


def committed(conf: Conf, topic: str, bootstrap: str | None, group: str) -> dict[int, int]:
    """Partition -> the next offset that ``group`` will read, as of its last checkpoint; 0 if none."""
    with _asked(conf, topic, bootstrap, group) as (consumer, asked):
        try:
            found = consumer.committed(asked, timeout=KAFKA_S)
        except KafkaException:
            return {}
    return {one.partition: max(one.offset, 0) for one in found}


def offsets_at(conf: Conf, at_ms: int) -> dict[int, int]:
    """Partition of the source -> the first offset that arrived then or later; -1 for the end."""
    source, group = conf.source.kafka, conf.own_name("replay")
    with _asked(conf, source.topic, source.bootstrap, group, at_ms) as (consumer, asked):
        found = consumer.offsets_for_times(asked, timeout=KAFKA_S)
    return {one.partition: one.offset for one in found}


def read_to(conf: Conf, job: str, wanted: dict[int, int]) -> bool:
    """Whether the job's newest checkpoint lies at or beyond ``wanted``: partition -> offset; -1 or not
    named: the partition's end."""
    source = conf.source.kafka
    read = committed(conf, source.topic, source.bootstrap, conf.own_name(job))
    for number, (_, end) in watermarks(conf, source.topic, source.bootstrap).items():
        at = wanted.get(number, -1)
        if read.get(number, 0) < (at if at >= 0 else end):
            return False
    return True


@contextmanager
def _asked(
    conf: Conf, topic: str, bootstrap: str | None, group: str, offset: int = OFFSET_INVALID
) -> Iterator[tuple[Consumer, list[TopicPartition]]]:
    """A consumer that joins no group, and the topic's partitions at ``offset``."""
    settings = kafka_settings(bootstrap, conf.source_properties, conf.region)
    own = {"group.id": group, "enable.auto.commit": False, **COMMITTED}
    with closing(Consumer(settings | own)) as consumer:
        numbers = partitions(consumer, topic, bootstrap)
        yield consumer, [TopicPartition(topic, number, offset) for number in numbers]


def positions_of(manifest: Manifest, topic: str) -> dict[int, int]:
    """Partition -> the next offset to read, 0 for one that had not begun."""
    places = manifest.positions.get(f"kafka:{topic}", {})
    return {int(number): max(int(offset), 0) for number, offset in places.items()}


def gap(manifest: Manifest, conf: Conf, held: Reach) -> Gap:
    """What the stream no longer holds of what came after the savepoint."""
    begun = dict.fromkeys(held.kafka, 0) | positions_of(manifest, conf.source.kafka.topic)
    return lost(held, begun, manifest.taken_at_ms)


def lost(held: Reach, begun: dict[int, int], since_ms: int) -> Gap:
    """What the stream no longer holds of what came to these partitions from an offset on, or since."""
    if held.kafka:
        lows = {number: low for number, (low, _) in held.kafka.items()}
        return Gap({n: (begun[n], low) for n, low in lows.items() if low > begun.get(n, low)})
    if held.oldest_ms > since_ms - SLACK_MS:
        return Gap(from_ms=since_ms - SLACK_MS, to_ms=held.oldest_ms + SLACK_MS)
    return Gap()
