"""The versions of what is remembered of a subject, oldest first. ``Profile`` is the newest."""

from __future__ import annotations

from tillstream.domain.fraud import Profile
from tillstream.state_schemas.keyed.fraud_profile import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec("fraud_profile", Profile, [Layout(1, v1.Profile)])
