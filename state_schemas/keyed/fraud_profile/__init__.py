"""Keyed state of the fraud job: what is remembered of a subject.

The rules' ``Profile`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.fraud.profile import Profile
from tillstream.state_schemas.keyed.versioned import Codec

CODEC = Codec("fraud_profile", Profile)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
