"""What the clocks of a place show, by its IANA time zone: summer time included."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Generic, Protocol, Self, TypeVar
from zoneinfo import ZoneInfo

DAY_MS = 86_400_000
UTC = "UTC"
_SLOT_MS = 900_000  # clocks change on a quarter of an hour


def offset_ms(zone: str, at_ms: int) -> int:
    """By how much the clocks of ``zone`` are ahead of UTC at that time."""
    return _offset_ms(zone, at_ms // _SLOT_MS)


def clock(zone: str, at_ms: int) -> str:
    """A time of day as people there read it: 14:05."""
    minutes = (at_ms + offset_ms(zone, at_ms)) % DAY_MS // 60_000
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def day_and_time(zone: str, at_ms: int) -> str:
    """As people there read it: 2026-11-29 18:14."""
    return f"{datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone)):%Y-%m-%d %H:%M}"


@lru_cache(maxsize=65_536)
def _offset_ms(zone: str, slot: int) -> int:
    offset = datetime.fromtimestamp(slot * (_SLOT_MS // 1000), ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return int(offset.total_seconds() * 1000)


class ZonedRules(Protocol):
    """Rules that go by a local clock."""

    def at(self, zone: str) -> Self:
        """The same by the clocks of ``zone``."""
        ...


R = TypeVar("R", bound=ZonedRules)
Place = TypeVar("Place", bound=Hashable)


class RulesByPlace(Generic[Place, R]):
    """``rules`` by the clock of each place in ``zones``; as they are for a place that is not there."""

    def __init__(self, rules: R, zones: Mapping[Place, str]) -> None:
        made = {zone: rules.at(zone) for zone in set(zones.values())}
        self._rules = {place: made[zone] for place, zone in zones.items()}
        self._others = rules

    def of(self, place: Place) -> R:
        return self._rules.get(place, self._others)
