"""What must hold before a replay begins, and what a savepoint says once it is looked at closely."""

from __future__ import annotations

from typing import Any

import msgspec

from tillstream import catalog
from tillstream.cluster.manifest import Manifest
from tillstream.conf import Conf
from tillstream.history import settle as history
from tillstream.replay import stream_reach
from tillstream.replay.phases import ReplayError
from tillstream.replay.stream_reach import SLACK_MS


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


def other_topics_reach(conf: Conf, found: Manifest) -> None:
    """What the job reads besides till transactions is in no archive."""
    source = conf.source.kafka.topic
    for stream in found.positions:
        kind, _, topic = stream.partition(":")
        if kind != "kafka" or topic == source or topic.startswith("replay-"):
            continue
        begun = stream_reach.positions_of(found, topic)
        kept = stream_reach.watermarks(conf, topic, conf.kafka.bootstrap)
        for number, (low, _) in kept.items():
            if low > begun.get(number, low):
                raise ReplayError(
                    f"partition {number} of {topic} begins at {low:,}, the savepoint had read up "
                    f"to {begun[number]:,}: what lies between is kept nowhere. Take a newer "
                    "savepoint, or --accept-loss"
                )


def with_true_positions(conf: Conf, found: Manifest) -> Manifest:
    """Positions of a savepoint that left out what arrived after a moment lie behind its state: what
    follows the state begins at that moment."""
    if found.until_ms is None:
        return found
    places: dict[str, str] = {}
    source = conf.source.kafka
    if conf.source.kind == "kafka":
        ends = stream_reach.watermarks(conf, source.topic, source.bootstrap)
        for number, at in stream_reach.offsets_at(conf, found.until_ms).items():
            places[str(number)] = str(at if at >= 0 else ends[number][1])
    return msgspec.structs.replace(
        found, taken_at_ms=found.until_ms, positions={f"kafka:{source.topic}": places}
    )


def where_state_ends(conf: Conf, found: Manifest) -> dict[str, Any]:
    """Settings of a source that begins where the savepoint's state ends, without its positions."""
    begun = stream_reach.positions_of(found, conf.source.kafka.topic)
    if conf.source.kind == "kafka" and begun and found.until_ms is None:
        return {"kafka": {"offsets": {str(number): at for number, at in begun.items()}}}
    slack = 0 if found.until_ms is not None else SLACK_MS
    return {"start_ms": found.taken_at_ms - slack}
