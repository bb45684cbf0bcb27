"""Keyed state of the fraud job: a till's or card's counts, of a card its habit too.

The rules' ``Counters`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.fraud.counters import Counters
from tillstream.state_schemas.keyed.fraud_counters import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout


def _upgrade(old: v1.Counters) -> Counters:
    return Counters(old.windows, old.days, old.newest_ms, old.recent, old.labelled)


def _downgrade(new: Counters) -> v1.Counters:
    return v1.Counters(new.windows, new.days, new.newest_ms, new.recent, new.labelled)


CODEC = Codec(
    "fraud_counters", Counters, [Layout(1, v1.Counters), Layout(2, Counters, _upgrade, _downgrade)]
)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
