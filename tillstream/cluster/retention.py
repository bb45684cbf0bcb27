"""Which savepoints are kept: pure, the clock is an argument. Times are ms since the epoch, UTC."""

from __future__ import annotations

from collections.abc import Sequence

from tillstream.cluster.manifest import Manifest

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def expired(
    kept: Sequence[Manifest], now_ms: int, hourly_for_hours: int, daily_for_days: int
) -> list[Manifest]:
    """Those of one job's savepoints that the policy does not keep, oldest first.

    Kept: the newest of each hour for ``hourly_for_hours``, the newest of each day (UTC) for
    ``daily_for_days``, and whatever their age the newest one, the newest not known to be bad, and
    the newest that was verified. One known to be bad, or of a history that a replay
    replaced, is no hour's and no day's.
    """
    newest_first = sorted(kept, key=lambda one: one.taken_at_ms, reverse=True)
    good = [one for one in newest_first if is_good(one)]
    proven = [one for one in good if one.verified is not None]
    keep = {group[0].location for group in (newest_first, good, proven) if group}
    for span_ms, limit_ms in (
        (HOUR_MS, hourly_for_hours * HOUR_MS),
        (DAY_MS, daily_for_days * DAY_MS),
    ):
        taken: set[int] = set()
        for one in good:
            span = one.taken_at_ms // span_ms
            if now_ms - one.taken_at_ms <= limit_ms and span not in taken:
                taken.add(span)
                keep.add(one.location)
    return [one for one in reversed(newest_first) if one.location not in keep]


def is_good(one: Manifest) -> bool:
    """Not known to be bad, and of the history as it is."""
    return not one.superseded_by and (one.verified is None or not one.verified.problem)


def at_or_before(kept: Sequence[Manifest], at_ms: int) -> Manifest | None:
    """The last good savepoint whose state is as of ``at_ms`` or earlier."""
    good = [one for one in kept if one.as_of_ms <= at_ms and is_good(one)]
    return max(good, key=lambda one: one.as_of_ms, default=None)
