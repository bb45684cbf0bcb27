"""Keyed state of the fraud job: a till's or card's counts.

The rules' ``Counters`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.fraud.counters import Counters
from tillstream.state_schemas.keyed.versioned import Codec

CODEC = Codec("fraud_counters", Counters)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
