"""Keyed state of the fraud job: what is remembered of a subject.

The rules' ``Profile`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.fraud import Profile
from tillstream.state_schemas.keyed.fraud_profile import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec("fraud_profile", Profile, [Layout(1, v1.Profile)])
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
