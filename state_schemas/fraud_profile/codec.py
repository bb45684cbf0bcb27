"""The versions of what is remembered of a subject, oldest first. ``Profile`` is the newest."""

from __future__ import annotations

from state_schemas.fraud_profile import v1
from state_schemas.versioned import Codec, Layout
from tillstream.domain.fraud import Profile

CODEC = Codec("fraud_profile", Profile, [Layout(1, v1.Profile)])
