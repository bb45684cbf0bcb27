"""What each version can hold, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.domain.promotions.copies import Known

SAMPLES = {1: {"third-revision": Known(3)}}
