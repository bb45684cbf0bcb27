"""Keyed state of the promotions job: the newest revision of each promotion.

The rules' ``Known`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.promotions.copies import Known
from tillstream.state_schemas.keyed.promotion_known import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout


def _upgrade(old: v1.Known) -> Known:
    return Known(old.revision)


def _downgrade(new: Known) -> v1.Known:
    return v1.Known(new.revision)


CODEC = Codec(
    "promotion_known", Known, [Layout(1, v1.Known), Layout(2, Known, _upgrade, _downgrade)]
)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
