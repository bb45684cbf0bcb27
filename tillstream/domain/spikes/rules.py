"""Settings of the detector of spikes and collapses, and the days it must know of."""

from __future__ import annotations

import msgspec

from tillstream.domain.local_time import UTC, offset_ms

DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS
NORMAL, PAYDAY, MONTH_END, HOLIDAY = 0, 1, 2, 3
KINDS = 4


class Calendar(msgspec.Struct, frozen=True, gc=False):
    """By whose clocks days are, and which of them are special.

    zone: IANA. paydays: days of the month on which wages are paid; such a day and the ``payday_days - 1``
    after it are PAYDAY. month_end: whether the last day of a month and the first of the next are
    MONTH_END. holidays: local days, days since the epoch; they go before both.
    """

    zone: str = UTC
    paydays: tuple[int, ...] = ()
    payday_days: int = 1
    month_end: bool = False
    holidays: frozenset[int] = frozenset()


class SpikeRules(msgspec.Struct, frozen=True, gc=False):
    """How the detector judges. Numbers of records are those of one series.

    counts: values are counts, so their square roots are judged, whose noise does not grow with them;
    nothing below 0 is expected. odds: without a change one record in so many is an alarm; the stated
    false-alarm rate, before rest makes it less. rest: for so many records after an alarm only a stronger
    one is another. learn: records before the first alarm. memory: records after which
    what is learnt of strangeness counts half. weeks: whether weekdays are told apart.
    """

    calendar: Calendar = Calendar()
    counts: bool = False
    weeks: bool = True
    odds: float = 1000.0
    rest: int = 150
    learn: int = 200
    memory: int = 20_000


def odds_of(false_alarms_a_year: float, interval_ms: float) -> float:
    """``SpikeRules.odds`` for a series with a record each ``interval_ms``. Raises ValueError unless both
    are above 0."""
    if false_alarms_a_year <= 0 or interval_ms <= 0:
        raise ValueError("a rate of false alarms and an interval are above 0")
    return max(YEAR_MS / interval_ms / false_alarms_a_year, 1.0)
