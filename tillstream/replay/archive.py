"""The archive's part in a replay: whether it reaches, a topic filled out of it, and where it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from tillstream import conf as settings
from tillstream.catalog import tables
from tillstream.cli.times import shown
from tillstream.clients.kafka import client_settings
from tillstream.clients.storage import open_bucket
from tillstream.clients.wait import wait_until
from tillstream.history.files import finished
from tillstream.replay import backfill, stream_reach
from tillstream.replay.backfill import BackfillError
from tillstream.replay.stream_reach import SLACK_MS, Gap

PARTITIONS = 4  # of the topic, where the stream itself is not Kafka
ACCEPT = "--accept-loss goes on from what the stream holds"
ADMIN_S = 30.0


class Archive:
    """Of one deployment; ``say`` gets a line for each step."""

    def __init__(self, conf: settings.Conf, say: Callable[[str], None]) -> None:
        self.conf, self.say = conf, say

    def must_reach(self, job: str, gap: Gap) -> None:
        """Raises BackfillError unless the archive has everything up to where the stream begins."""
        if job == "archive":
            raise BackfillError(
                "the stream no longer holds all that follows this savepoint, and the archive job is "
                f"where it would be: {ACCEPT}"
            )
        if not self.conf.kafka.bootstrap:
            raise BackfillError("the archive is replayed through Kafka: set kafka.bootstrap")
        if not gap.offsets:
            prefix = self.conf.prefix(tables.ARCHIVE)
            if not finished(open_bucket(self.conf), prefix, gap.to_ms - 2 * SLACK_MS):
                raise BackfillError(
                    f"the stream begins at {shown(gap.to_ms - SLACK_MS)}, the archive ended before: "
                    f"what lies between is kept nowhere. {ACCEPT}"
                )
            return
        source = self.conf.source.kafka
        group = self.conf.own_name("archive")
        done = stream_reach.committed(self.conf, source.topic, source.bootstrap, group)
        if not any(done.values()):
            raise BackfillError(
                f"how far the archive reaches is not known: its job has completed no checkpoint as "
                f"{group}. Start it (`tillstream job restore archive`), wait for one, and replay again"
            )
        for number, (_, end) in gap.offsets.items():
            if done.get(number, 0) < end:
                raise BackfillError(
                    f"partition {number} of {source.topic} begins at {end:,}, the archive ends at "
                    f"{done.get(number, 0):,}: what lies between is kept nowhere. {ACCEPT}"
                )

    def fill(self, topic: str, gap: Gap, taken_at_ms: int) -> int:
        """A new topic with what the archive has of the gap; returns how many transactions."""
        self._make_topic(topic)
        if not gap:
            return 0
        if gap.offsets:
            lost = sum(end - first for first, end in gap.offsets.values())
            what = f"{lost:,} records that follow the savepoint"
        else:
            what = f"what arrived from {shown(gap.from_ms)} to {shown(gap.to_ms)}"
        self.say(f"the stream no longer holds {what}: putting them back from the archive")
        last = time.monotonic()

        def progress(count: int) -> None:
            nonlocal last
            if time.monotonic() - last > 5:
                last = time.monotonic()
                self.say(f"  {count:,} transactions")

        filled = backfill.fill(self.conf, gap, taken_at_ms, topic, progress)
        self.say(f"  {filled:,} transactions on topic {topic}")
        return filled

    def source(self, topic: str) -> dict[str, Any]:
        """Settings of a source that reads the topic."""
        return {
            "kind": "kafka",
            "require_append_time": False,
            "kafka": {
                "topic": topic,
                "from_archive": True,
                "bootstrap": self.conf.kafka.bootstrap,
                "properties": self.conf.kafka.properties,
                "start": "earliest",
                "offsets": {},
            },
        }

    def drained(self, topic: str, job: str) -> bool:
        """Whether the job's last checkpoint covers all of the topic."""
        bootstrap = self.conf.kafka.bootstrap
        ends = stream_reach.watermarks(self.conf, topic, bootstrap)
        done = stream_reach.committed(self.conf, topic, bootstrap, self.conf.own_name(job))
        return all(done.get(number, 0) >= high for number, (_, high) in ends.items())

    def lost_meanwhile(self, gap: Gap) -> Gap:
        """What the stream has let go of since, behind the end of ``gap``."""
        if not gap:
            return gap
        return stream_reach.lost(stream_reach.reach(self.conf), gap.ends, gap.to_ms)

    def continues(self, gap: Gap, begun: dict[int, int]) -> dict[str, Any]:
        """Settings of the source that goes on in the stream. A partition without a gap goes on where
        the savepoint had it."""
        if gap.offsets:
            places = begun | gap.ends
            return {"kafka": {"offsets": {str(number): at for number, at in places.items()}}}
        if gap:
            return {"start_ms": gap.to_ms - 2 * SLACK_MS}
        return {"kinesis": {"start": "TRIM_HORIZON"}}

    # -- topics ------------------------------------------------------------------------------------

    def _make_topic(self, topic: str) -> None:
        """Recreates it: what an interrupted filling left is not added to."""
        admin = AdminClient(client_settings(self.conf))  # held on to: its answers die with it
        self._drop(admin, topic)
        wait_until(
            lambda: topic not in admin.list_topics(timeout=ADMIN_S).topics,
            ADMIN_S,
            f"topic {topic} is not deleted",
        )
        count = PARTITIONS
        if self.conf.source.kind == "kafka":
            source = self.conf.source.kafka
            count = len(stream_reach.watermarks(self.conf, source.topic, source.bootstrap))
        # Times are those of the first arrival, also to the sinks, which wait for newer versions of old ones.
        config = {"retention.ms": "-1", "message.timestamp.type": "CreateTime"}
        made = NewTopic(topic, count, -1, config=config)
        admin.create_topics([made])[topic].result(ADMIN_S)

    def drop_topics(self, prefix: str) -> None:
        """Drops what a replay has read. One that cannot be dropped is named, and does no harm."""
        try:
            self._drop(AdminClient(client_settings(self.conf)), prefix)
        except KafkaException as error:
            self.say(
                f"topics {prefix}… are not deleted ({error.args[0].str()}): delete them yourself"
            )

    def _drop(self, admin: AdminClient, prefix: str) -> None:
        for topic in admin.list_topics(timeout=ADMIN_S).topics:
            if topic.startswith(prefix):
                admin.delete_topics([topic])[topic].result(ADMIN_S)
