"""Profiles as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.domain.fraud.profile import Lesson, Profile, Waiting
from tillstream.state_schemas.keyed.fraud_profile import v1, v2

T0 = 1_764_000_000_000
DAY = 86_400_000

V1 = {
    "new": v1.Profile(
        sales=0, first_ms=T0, newest_ms=T0, level=0.0, spread=0.6, hour_x=0.0, hour_y=0.0,
        last_store=0, last_ms=0, stores=[], cards=[], methods=0, categories=[],
        windows=[[], [], [], []], heat=0.0, heat_ms=T0, high=0.0, peak=0.0, peak_ms=T0,
        watch_until_ms=0, watch_cause=0, recent=[], held=[], frauds=0, first_fraud_ms=0,
        last_fraud_ms=0, labelled=[],
    ),
    "watched-with-a-held-sale": v1.Profile(
        sales=41, first_ms=T0 - 90 * DAY, newest_ms=T0, level=10.3125, spread=0.25, hour_x=-0.5,
        hour_y=-0.75, last_store=23, last_ms=T0 - DAY, stores=[156, 1, 23, 40],
        cards=[2**63 - 1, 38, 0, 77, 3, 1], methods=3, categories=[5, 2**62],
        windows=[[29_400_001, 1, 35_000], [], [490_000, 2, 70_000], [20_416, 2, 70_000]],
        heat=1.5, heat_ms=T0, high=0.5, peak=3.5, peak_ms=T0 - DAY, watch_until_ms=T0 + 7 * DAY,
        watch_cause=2**63 - 1, recent=[1, 2, 3],
        held=[v1.Lesson(9, T0, 300_000, 156, 2.25, 77, 1, (5,))], frauds=1,
        first_fraud_ms=T0 - 3 * DAY, last_fraud_ms=T0 - 3 * DAY, labelled=[12],
    ),
}  # fmt: skip

_OLD = {
    name: getattr(V1["watched-with-a-held-sale"], name) for name in v1.Profile.__struct_fields__
}
V2 = {
    "at-home-in-kwanza": v2.Profile(
        **_OLD
        | {
            "held": [
                v2.Lesson(
                    9, T0, 30_000_000, 156, 2.25, 77, 1, (5,), "AOA", False, "T-7",
                    "tok_z9y8x7w6v5u4t3s2",
                )
            ],
            "home": "AOA",
            "home_lead": 41,
        }
    ),
    "of-version-1": v2.Profile(**_OLD | {"held": [v2.Lesson(9, T0, 300_000, 156, 2.25, 77, 1, (5,))]}),
}  # fmt: skip

_OLD_2 = {name: getattr(V2["at-home-in-kwanza"], name) for name in v2.Profile.__struct_fields__} | {
    "held": [Lesson(9, T0, 30_000_000, 156, 2.25, 77, 1, (5,), "AOA", False, "T-7", "")]
}
V3 = {
    "an-answer-waits": Profile(
        **_OLD_2
        | {
            "waiting": [Waiting("0023-04-20251124-000501", True, T0, T0 + 3_600_000)],
            "released": [2**32 - 1, 17],
            "reviewed": [18],
        }
    ),
    "of-version-2": Profile(**_OLD_2),
}

SAMPLES = {1: V1, 2: V2, 3: V3}
