"""What each version can hold, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.domain.promotions.copies import Known
from tillstream.state_schemas.keyed.promotion_known import v1, v2

SAMPLES = {
    1: {"third-revision": v1.Known(3)},
    2: {
        "third-revision": v2.Known(3, b"\x01\xff9\xe3\x9d\x5e+\x80"),
        "of-an-older-release": v2.Known(3),
    },
    3: {
        "in-two-stores": Known(3, b"\x01\xff9\xe3\x9d\x5e+\x80", ("6001240100035",), (12, 45)),
        "everywhere": Known(3, b"\x01\xff9\xe3\x9d\x5e+\x80", ("6001240100035", "20000615")),
        "of-an-older-release": Known(3, b"\x01\xff9\xe3\x9d\x5e+\x80"),
    },
}
