"""Settings of the detector of spikes and collapses, and the days it must know of."""

from __future__ import annotations

import msgspec

from tillstream.domain.local_time import UTC

DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS
NORMAL, HOLIDAY, MONTH_END, PAYDAY = range(4)
KINDS = 8  # a payday, and each of up to four days after it, is a kind of its own
# What is looked at; see `evidence`. The first three know the baseline.
SEASON, SHORT, LONG, JUMP, RESTLESS, RANGE, TREND = range(7)
STREAMS = 7
BASELINE = (SEASON, SHORT, LONG)
ALL = tuple(range(STREAMS))


class Calendar(msgspec.Struct, frozen=True, gc=False):
    """By whose clocks days are, and which of them are special.

    zone: IANA. paydays: days of the month on which wages are paid; such a day is PAYDAY, and the
    ``payday_days - 1`` (up to four) after it the kinds above that. month_end: whether the last day of a month
    and the first of the next are MONTH_END. holidays: local days, days since the epoch; they go before both.
    Only counts have special days.
    """

    zone: str = UTC
    paydays: tuple[int, ...] = ()
    payday_days: int = 1
    month_end: bool = False
    holidays: frozenset[int] = frozenset()


class SpikeRules(msgspec.Struct, frozen=True, gc=False):
    """How the detector judges; the defaults are for a series that nothing is known of. Numbers of records
    are those of one series.

    streams: what is looked at. odds: of one stream's records one in so many is as strange, upwards or
    downwards, before it is any evidence. weight: what an octave of size adds to the strength, up to
    ``octaves``. alarm: the least strength of a finding.
    rest: for so many records after some evidence only stronger one is any; less at first, a part
    ``rest_share`` of the records seen.
    learn: records before any evidence; settle: before strangeness is learnt, for a baseline that is not yet
    known finds all strange. memory: after twice so many records what is known of strangeness counts half.
    counts: values are counts, so their square roots are judged, whose noise does not grow with them.
    weeks: whether weekdays are told apart. level_hours: how fast the level follows. light: whether the tails
    of strangeness are exponential, not Pareto.
    """

    calendar: Calendar = Calendar()
    streams: tuple[int, ...] = ALL
    odds: float = 400.0
    weight: float = 0.4
    octaves: float = 5.0
    alarm: float = 3.6
    rest: int = 150
    rest_share: float = 0.04
    learn: int = 200
    settle: int = 0
    memory: int = 20_000
    counts: bool = False
    weeks: bool = True
    level_hours: float = 24.0
    light: bool = False


def odds_of(false_alarms_a_year: float, interval_ms: float, streams: int) -> float:
    """``SpikeRules.odds`` for a series with a record each ``interval_ms`` (ms) that so many ``streams`` look
    at, each upwards and downwards: at most so many findings a year while nothing changes (union bound).
    Raises ValueError unless all are above 0."""
    if false_alarms_a_year <= 0 or interval_ms <= 0 or streams <= 0:
        raise ValueError("a rate of false alarms, an interval and a number of streams are above 0")
    return max(2 * streams * YEAR_MS / interval_ms / false_alarms_a_year, 1.0)


def payment_rules(
    calendar: Calendar, false_alarms_a_year: float = 12.0, interval_ms: int = 300_000
) -> SpikeRules:
    """For counts of payments in windows of ``interval_ms``: only the baseline's streams are looked at, from
    three weeks on, and each finding is as rare as the stated rate for one series wants it. After one, only
    a stronger one is another for four hours."""
    return SpikeRules(
        calendar=calendar,
        streams=BASELINE,
        odds=odds_of(false_alarms_a_year, interval_ms, len(BASELINE)),
        alarm=0.0,
        rest=4 * 3_600_000 // interval_ms,
        rest_share=1.0,
        learn=21 * DAY_MS // interval_ms,
        settle=14 * DAY_MS // interval_ms,
        memory=50_000,
        counts=True,
        level_hours=3.0,
        light=True,
    )
