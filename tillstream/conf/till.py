"""Settings of `tillstream till`: what runs beside the tills."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Positive = Annotated[int, Meta(ge=1)]


class Till(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """See conf/base.yaml. folder: None is ``till`` in $TILLSTREAM_HOME."""

    folder: str | None
    lanes: Annotated[int, Meta(ge=1, le=16)]
    batch_records: Annotated[int, Meta(ge=1, le=500)]  # Kinesis takes no more
    answer_ms: Positive
    direct_ms: Positive
    backoff_first_ms: Positive
    backoff_max_ms: Positive
    spool_records: Positive
    spool_bytes: Positive
    disk_free_bytes: Annotated[int, Meta(ge=0)]
    warn_percent: Annotated[int, Meta(ge=1, le=100)]
    record_bytes: Positive
    request_bytes: Positive
    oldest_minutes: Positive
