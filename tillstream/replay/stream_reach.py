"""What a stream still holds, and what lies between a savepoint and that: the gap, if there is one."""

from __future__ import annotations

from dataclasses import dataclass, field

from confluent_kafka import KafkaException

from tillstream.cli.times import now_ms
from tillstream.clients import kinesis
from tillstream.clients.kafka import ANSWER_S, asked
from tillstream.clients.kafka import watermarks as watermarks
from tillstream.cluster.manifest import Manifest
from tillstream.conf import Conf

SLACK_MS = 60_000  # of clocks, and of a shard that a job had not found yet; overlap does no harm


@dataclass(frozen=True)
class Reach:
    """Kafka: partition -> (oldest offset kept, next offset to come). Kinesis: records that arrived at
    or after ``oldest_ms`` are kept, as far as can be known."""

    kafka: dict[int, tuple[int, int]] = field(default_factory=dict)
    oldest_ms: int = 0


@dataclass(frozen=True)
class Gap:
    """What the stream no longer holds. Kafka: partition -> offsets [first, last + 1); from_ms is then
    about when the first of them arrived, 0 if that is not known. Kinesis: arrival times
    [from_ms, to_ms), wide enough for whatever clocks differ by."""

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
    client, stream = kinesis.open_stream(conf), conf.source.kinesis.stream
    return Reach(oldest_ms=kinesis.oldest_ms(client, stream, now_ms()))


def stream_of(conf: Conf) -> str:
    """How origins of till transactions begin."""
    return conf.source.stream


def committed(conf: Conf, topic: str, bootstrap: str | None, group: str) -> dict[int, int]:
    """Partition -> the next offset that ``group`` will read, as of its last checkpoint; 0 if none."""
    with asked(conf, topic, bootstrap, group) as (consumer, places):
        try:
            found = consumer.committed(places, timeout=ANSWER_S)
        except KafkaException:
            return {}
    return {one.partition: max(one.offset, 0) for one in found}


def offsets_at(conf: Conf, at_ms: int) -> dict[int, int]:
    """Partition of the source -> the first offset that arrived then or later; -1 for the end."""
    source, group = conf.source.kafka, conf.own_name("replay")
    with asked(conf, source.topic, source.bootstrap, group, at_ms) as (consumer, places):
        found = consumer.offsets_for_times(places, timeout=ANSWER_S)
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


def positions_of(manifest: Manifest, topic: str) -> dict[int, int]:
    """Partition -> the next offset to read, 0 for one that had not begun."""
    places = manifest.positions.get(f"kafka:{topic}", {})
    return {int(number): max(int(offset), 0) for number, offset in places.items()}


def read_to_ms(manifest: Manifest, conf: Conf) -> int | None:
    """Whatever arrived in the till's stream before that (ms UTC) is in the savepoint's state; None
    where its manifest does not say it of each partition or shard."""
    if manifest.until_ms is not None:
        return manifest.until_ms
    stream = stream_of(conf)
    begun, known = manifest.positions.get(stream, {}), manifest.read_to_ms.get(stream, {})
    return min(known.values()) if begun and begun.keys() <= known.keys() else None


def recreated(held: Reach, begun: dict[int, int]) -> list[int]:
    """Partitions that end before where they are to be read from: of another topic of that name."""
    ends = {number: end for number, (_, end) in held.kafka.items()}
    return sorted(number for number, at in begun.items() if at > ends.get(number, 0))


def gap(manifest: Manifest, conf: Conf, held: Reach, begun: dict[int, int]) -> Gap:
    """What the stream no longer holds of what came after the savepoint, whose state ends at ``begun``."""
    since_ms = read_to_ms(manifest, conf)
    if not held.kafka and since_ms is None:
        return Gap()  # nothing is gone: `checks.where_it_goes_on` has seen to that
    return lost(held, dict.fromkeys(held.kafka, 0) | begun, since_ms or 0)


def lost(held: Reach, begun: dict[int, int], since_ms: int) -> Gap:
    """What the stream no longer holds of what came to these partitions from an offset on, or since."""
    if held.kafka:
        lows = {number: low for number, (low, _) in held.kafka.items()}
        gone = {n: (begun[n], low) for n, low in lows.items() if low > begun.get(n, low)}
        return Gap(gone, from_ms=since_ms) if gone else Gap()
    if held.oldest_ms > since_ms - SLACK_MS:
        return Gap(from_ms=since_ms - SLACK_MS, to_ms=held.oldest_ms + SLACK_MS)
    return Gap()
