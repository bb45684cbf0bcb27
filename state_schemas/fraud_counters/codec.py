"""The versions of a till's or card's counts, oldest first. The rules' ``Counters`` is the newest of them."""

from __future__ import annotations

from state_schemas.fraud_counters import v1
from state_schemas.versioned import Codec, Layout
from tillstream.domain.fraud import Counters

CODEC = Codec("fraud_counters", Counters, [Layout(1, v1.Counters)])
