"""The archive's part in a replay: whether it reaches, a topic filled out of it, and where it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from tillstream import catalog
from tillstream import conf as settings
from tillstream.clients.kafka import client_settings
from tillstream.clients.wait import wait_until
from tillstream.replay import backfill, stream_reach
from tillstream.replay.backfill import BackfillError
from tillstream.replay.coverage import Missing, beyond
from tillstream.replay.stream_reach import Gap

PARTITIONS = 4  # of the topic, where the stream itself is not Kafka
ACCEPT = "--accept-loss goes on without it"
ADMIN_S = 30.0
SHOWN = 3  # runs of offsets, in a message


class Archive:
    """Of one deployment; ``say`` gets a line for each step."""

    def __init__(self, conf: settings.Conf, say: Callable[[str], None]) -> None:
        self.conf, self.say = conf, say

    def can_help(self, job: str) -> bool:
        """Whether a gap of that job's can be read from the archive, which has what the front door wrote."""
        return job != "archive" and not catalog.job(job).raw

    def must_reach(self, job: str, gap: Gap, accept_loss: bool = False) -> Missing:
        """Raises BackfillError unless the archive accounts for all of the gap. With ``accept_loss``
        returns what it does not account for instead, and says it."""
        missing: Missing = {}
        try:
            if not self.can_help(job):
                why = f"{job} reads what tills send, which nothing archives"
                if job == "archive":
                    why = "the archive job is where it would be"
                raise BackfillError(
                    f"the stream no longer holds all that follows this savepoint, and {why}: {ACCEPT}"
                )
            if missing := backfill.survey(self.conf, gap).missing():
                raise BackfillError(self._told(gap, missing))
        except BackfillError as error:
            if not accept_loss:
                raise
            self.say(f"lost, and accepted: {error}")
        return missing

    def _told(self, gap: Gap, missing: Missing) -> str:
        topic = self.conf.source.kafka.topic
        lines = []
        for number, runs in sorted(missing.items()):
            first, end = gap.offsets[number]
            count = sum(over - begun for begun, over in runs)
            some = ", ".join(
                f"{begun:,}" + (f" to {over - 1:,}" if over - begun > 1 else "")
                for begun, over in runs[:SHOWN]
            )
            lines.append(
                f"partition {number} of {topic}: {count:,} of the {end - first:,} offsets that the "
                f"stream no longer holds are neither archived nor accounted for by the archive job "
                f"({some}{', …' if len(runs) > SHOWN else ''})"
            )
        return (
            "; ".join(lines)
            + ". If the archive is behind, start it (`tillstream job restore archive`),"
            f" wait for a checkpoint, and replay again; else {ACCEPT}"
        )

    def fill(self, topic: str, gap: Gap, accepted: Missing) -> int:
        """A new topic with what the archive has of the gap; returns how many transactions. Raises
        BackfillError where it lacks more than was ``accepted``."""
        self._make_topic(topic)
        if not gap:
            return 0
        found = backfill.survey(self.conf, gap)
        if missing := beyond(found.missing(), accepted):
            raise BackfillError(self._told(gap, missing))
        lost = sum(end - first for first, end in gap.offsets.values())
        self.say(
            f"the stream no longer holds {lost:,} records that follow the savepoint: putting them back "
            "from the archive"
        )
        last = time.monotonic()

        def progress(count: int) -> None:
            nonlocal last
            if time.monotonic() - last > 5:
                last = time.monotonic()
                self.say(f"  {count:,} transactions")

        filled = backfill.fill(self.conf, found, topic, progress)
        self.say(f"  {filled:,} transactions on topic {topic}")
        return filled

    def source(self, topic: str, section: str) -> dict[str, Any]:
        """Settings of a source that reads the topic, as that ``section`` of conf has them."""
        kafka = {"topic": topic, "from_archive": True, "start": "earliest", "offsets": {}}
        settings: dict[str, Any] = {"require_append_time": False}
        if section == "source":
            bootstrap, properties = self.conf.kafka.bootstrap, self.conf.kafka.properties
            kafka |= {"bootstrap": bootstrap, "properties": properties}
            settings["kind"] = "kafka"
        return settings | {"kafka": kafka}

    def drained(self, topic: str, job: str) -> bool:
        """Whether the job's last checkpoint covers all of the topic."""
        bootstrap = self.conf.kafka.bootstrap
        ends = stream_reach.watermarks(self.conf, topic, bootstrap)
        done = stream_reach.committed(self.conf, topic, bootstrap, self.conf.own_name(job))
        return all(done.get(number, 0) >= high for number, (_, high) in ends.items())

    def lost_meanwhile(self, gap: Gap, begun: dict[int, int]) -> Gap:
        """What the stream has let go of since, behind the end of ``gap``, and of partitions that had
        none from where they go on."""
        if not gap:
            return gap
        return stream_reach.lost(stream_reach.reach(self.conf), begun | gap.ends, gap.from_ms)

    def continues(self, gap: Gap, begun: dict[int, int]) -> dict[str, Any]:
        """Settings of the source that goes on in the stream. A partition without a gap goes on where
        the savepoint had it."""
        if gap:
            places = begun | gap.ends
            return {"kafka": {"offsets": {str(number): at for number, at in places.items()}}}
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
