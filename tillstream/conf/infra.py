"""Settings of what `tillstream infra` writes for AWS."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Positive = Annotated[int, Meta(ge=1)]


class _Base(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    pass


class Stream(_Base, frozen=True):
    """shards: None means on demand."""

    shards: Positive | None
    retention_hours: Annotated[int, Meta(ge=24, le=8760)]


class Files(_Base, frozen=True):
    infrequent_after_days: Annotated[int, Meta(ge=30)]  # S3 takes no less
    archive_after_days: Positive
    deleted_kept_days: Positive


class Topics(_Base, frozen=True):
    partitions: Positive
    replicas: Positive
    in_sync_replicas: Positive
    retention_hours: Positive


class WarmThroughput(_Base, frozen=True):
    """What a table takes at once, before it has grown by itself."""

    reads_per_second: Annotated[int, Meta(ge=12_000)]  # DynamoDB takes no less
    writes_per_second: Annotated[int, Meta(ge=4_000)]


class Alarms(_Base, frozen=True):
    lag_minutes: Positive
    checkpoint_age_minutes: Positive
    checkpoint_minutes: Positive
    restarts_per_hour: Positive
    dead_letters_per_minute: Positive
    throttled_per_minute: Positive
    snapshot_age_hours: Positive


class Infra(_Base, frozen=True):
    """What `tillstream infra` writes for AWS."""

    flink: Literal["1.20", "2.2", "2.3"]
    stream: Stream
    files: Files
    topics: Topics
    warm_tables: dict[str, WarmThroughput]
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731]
    alarms: Alarms
