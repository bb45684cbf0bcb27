"""What must hold before a replay begins, and what a savepoint says once it is looked at closely."""

from __future__ import annotations

from typing import Any

import msgspec

from tillstream import catalog
from tillstream.cli.times import shown
from tillstream.cluster.manifest import Manifest
from tillstream.cluster.restoring import kafka_losses, kinesis_losses
from tillstream.conf import Conf
from tillstream.history import settle as history
from tillstream.replay import stream_reach
from tillstream.replay.phases import ReplayError
from tillstream.replay.stream_reach import SLACK_MS, Reach


def can_be_replayed(job: str) -> None:
    """Raises ReplayError for a job whose rows would count twice, UnknownJob for an unknown one."""
    if catalog.job(job).sums:
        raise ReplayError(
            f"{job} cannot be replayed: what it adds up would be counted twice. `tillstream job "
            f"restore {job}` goes on from its last checkpoint; a window it has missed can be added "
            "up from the archive"
        )


def history_is_there(conf: Conf, named: list[tuple[str, str]]) -> None:
    """``named``: (bucket, key) of the files that the savepoint's state names."""
    gone, _ = history.lacking(conf, named)
    if gone:
        raise ReplayError(
            f"{len(gone)} history files that this savepoint names as just finished are gone, so "
            f"it cannot be restored: {gone[0]}. Put them back, or take another savepoint"
        )


def is_of_the_history(found: Manifest) -> None:
    """Raises ReplayError for a savepoint whose history was set aside since."""
    if found.superseded_by:
        raise ReplayError(
            f"the history that goes with this savepoint was replaced by replay {found.superseded_by}: "
            "take a savepoint from before that replay's own, or from after it"
        )


def other_topics_reach(conf: Conf, job: str, found: Manifest) -> None:
    """What the job reads besides till transactions is in no archive."""
    for topic in map(conf.topic, catalog.job(job).reads):
        if (begun := found.positions.get(f"kafka:{topic}")) is None:
            continue
        kept = stream_reach.watermarks(conf, topic, conf.kafka.bootstrap)
        for one in kafka_losses(topic, begun, kept):
            raise ReplayError(
                f"{one.said}, and kept nowhere else. Take a newer savepoint, or --accept-loss"
            )


def with_true_positions(conf: Conf, found: Manifest, accept_loss: bool = False) -> Manifest:
    """Positions of a savepoint that left out what arrived after a moment lie behind its state: what
    follows the state begins at that moment. Raises ReplayError where the topic begins later."""
    if found.until_ms is None:
        return found
    places: dict[str, str] = {}
    source = conf.source.kafka
    if conf.source.kind == "kafka":
        kept = stream_reach.watermarks(conf, source.topic, source.bootstrap)
        for number, at in stream_reach.offsets_at(conf, found.until_ms).items():
            low, end = kept[number]
            at = at if at >= 0 else end
            if at <= low > 0 and not accept_loss:
                raise ReplayError(
                    f"partition {number} of {source.topic} holds nothing from before "
                    f"{shown(found.until_ms)}, where this savepoint's state ends: what is gone of what "
                    "follows cannot be counted. Take the savepoint before it, or --accept-loss"
                )
            places[str(number)] = str(at)
    return msgspec.structs.replace(
        found, taken_at_ms=found.until_ms, positions={f"kafka:{source.topic}": places}
    )


def where_it_goes_on(conf: Conf, found: Manifest, held: Reach, accept_loss: bool) -> dict[int, int]:
    """Partition of Kafka -> the offset at which the savepoint's state ends. Raises ReplayError where
    that means nothing in the stream as it is, or is not known."""
    begun = stream_reach.positions_of(found, conf.source.kafka.topic)
    if conf.source.kind == "kafka":
        if not begun and not accept_loss:
            raise ReplayError(
                f"this savepoint has no position in {conf.source.kafka.topic}: the job read something "
                "else, as those of 0.1.0 did. Take another savepoint, or correct the topic's setting; "
                "--accept-loss begins with the oldest record that the topic or the archive has"
            )
        for number in stream_reach.recreated(held, begun):
            low, end = held.kafka.get(number, (0, 0))
            if not accept_loss:
                raise ReplayError(
                    f"partition {number} of {conf.source.kafka.topic} ends at {end:,}, before "
                    f"{begun[number]:,}, where this savepoint goes on: the topic was deleted and "
                    "created again, so neither it nor the archive can say what follows. --accept-loss "
                    "goes on at its beginning"
                )
            begun[number] = low
        return {number: at for number, at in begun.items() if number in held.kafka}
    stream = stream_reach.stream_of(conf)
    if stream_reach.read_to_ms(found, conf) is None and not accept_loss:
        places = found.positions.get(stream, {})
        if not places or kinesis_losses(conf, places, {}, found.completed_at_ms):
            raise ReplayError(
                "this savepoint's manifest does not say up to when each shard was read (an earlier "
                f"release took it, or the job read something else), and {stream} no longer holds what "
                "was read last: that nothing is missing cannot be shown. Take a newer savepoint, or "
                "--accept-loss"
            )
    return {}


def where_state_ends(conf: Conf, found: Manifest, begun: dict[int, int]) -> dict[str, Any]:
    """Settings of a source that begins where the savepoint's state ends, without its positions.
    Raises ReplayError where that is not known."""
    if conf.source.kind == "kafka" and begun and found.until_ms is None:
        return {"kafka": {"offsets": {str(number): at for number, at in begun.items()}}}
    since_ms = stream_reach.read_to_ms(found, conf)
    if since_ms is None:
        raise ReplayError(
            "this savepoint's manifest does not say up to when each shard was read: without --to the "
            "job can go on from its positions, or take a newer savepoint"
        )
    slack = 0 if found.until_ms is not None else SLACK_MS
    return {"start_ms": since_ms - slack}
