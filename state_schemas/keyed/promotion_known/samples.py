"""What each version can hold, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.state_schemas.keyed.promotion_known import v1

SAMPLES = {1: {"third-revision": v1.Known(3)}}
