"""Keyed state of the fraud job: a till's or card's counts, of a card its habit and refunds too.

The rules' ``Counters`` is its newest version.
"""

from __future__ import annotations

from msgspec.structs import astuple

from tillstream.domain.fraud.counters import DAY_MS, Counters, Habit
from tillstream.state_schemas.keyed.fraud_counters import v1, v2
from tillstream.state_schemas.keyed.versioned import Codec, Layout


def _upgrade_1(old: v1.Counters) -> v2.Counters:
    return v2.Counters(old.windows, old.days, old.newest_ms, old.recent, old.labelled)


def _downgrade_2(new: v2.Counters) -> v1.Counters:
    return v1.Counters(new.windows, new.days, new.newest_ms, new.recent, new.labelled)


def _upgrade_2(old: v2.Counters) -> Counters:
    """A till is known for as long as its days."""
    habit = None if old.habit is None else Habit(*astuple(old.habit))
    since_ms = old.days[0] * DAY_MS if old.days else 0
    return Counters(
        old.windows, old.days, old.newest_ms, old.recent, old.labelled, habit, [], since_ms
    )


def _downgrade_3(new: Counters) -> v2.Counters:
    habit = None if new.habit is None else v2.Habit(*astuple(new.habit))
    return v2.Counters(new.windows, new.days, new.newest_ms, new.recent, new.labelled, habit)


CODEC = Codec(
    "fraud_counters",
    Counters,
    [
        Layout(1, v1.Counters),
        Layout(2, v2.Counters, _upgrade_1, _downgrade_2),
        Layout(3, Counters, _upgrade_2, _downgrade_3),
    ],
)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
