"""Keyed state of the promotions job: the newest revision of each promotion.

The rules' ``Known`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.promotions.copies import Known
from tillstream.state_schemas.keyed.promotion_known import v1, v2
from tillstream.state_schemas.keyed.versioned import Codec, Layout


def _to_v2(old: v1.Known) -> v2.Known:
    return v2.Known(old.revision)


def _to_v1(new: v2.Known) -> v1.Known:
    return v1.Known(new.revision)


def _upgrade(old: v2.Known) -> Known:
    return Known(old.revision, old.fingerprint)


def _downgrade(new: Known) -> v2.Known:
    return v2.Known(new.revision, new.fingerprint)


CODEC = Codec(
    "promotion_known",
    Known,
    [
        Layout(1, v1.Known),
        Layout(2, v2.Known, _to_v2, _to_v1),
        Layout(3, Known, _upgrade, _downgrade),
    ],
)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
