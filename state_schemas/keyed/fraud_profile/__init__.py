"""Keyed state of the fraud job: what is remembered of a subject.

The rules' ``Profile`` is its newest version.
"""

from __future__ import annotations

from msgspec.structs import asdict, astuple

from tillstream.domain.fraud.profile import Lesson, Profile
from tillstream.state_schemas.keyed.fraud_profile import v1, v2
from tillstream.state_schemas.keyed.versioned import Codec, Layout

_LESSON = len(v1.Lesson.__struct_fields__)


def _upgrade_1(old: v1.Profile) -> v2.Profile:
    """Its home is not known yet: `settle` finds it at the next sale."""
    held = [v2.Lesson(*astuple(one)) for one in old.held]
    return v2.Profile(**asdict(old) | {"held": held})


def _downgrade_2(new: v2.Profile) -> v1.Profile:
    """Its level stays in the currency of home, which is that of most sales."""
    held = [v1.Lesson(*astuple(one)[:_LESSON]) for one in new.held]
    old = {name: getattr(new, name) for name in v1.Profile.__struct_fields__}
    return v1.Profile(**old | {"held": held})


def _upgrade_2(old: v2.Profile) -> Profile:
    held = [Lesson(*astuple(one)) for one in old.held]
    return Profile(**asdict(old) | {"held": held})


def _downgrade_3(new: Profile) -> v2.Profile:
    """Answers that wait are lost, as version 2 loses them. There every subject has a sale: one without is
    known since what was heard of it first."""
    held = [v2.Lesson(*astuple(one)) for one in new.held]
    old = {name: getattr(new, name) for name in v2.Profile.__struct_fields__}
    return v2.Profile(**old | {"held": held, "first_ms": new.first_ms or new.newest_ms})


CODEC = Codec(
    "fraud_profile",
    Profile,
    [
        Layout(1, v1.Profile),
        Layout(2, v2.Profile, _upgrade_1, _downgrade_2),
        Layout(3, Profile, _upgrade_2, _downgrade_3),
    ],
)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
