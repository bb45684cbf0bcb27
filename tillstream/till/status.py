"""What a store's forwarder has, read beside it: what waits, since when, and what went wrong last."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from tillstream import conf as settings
from tillstream.cli.times import MINUTE_MS
from tillstream.conf import Conf
from tillstream.till import layout, progress
from tillstream.till.spool import Limits, Sums, read_sums

NOTHING = Sums(0, 0, 0, 0, None)


class Status(NamedTuple):
    """Times are ms UTC, None where nothing is known. problems: what a person has to see to, empty if all is
    well."""

    running: bool
    target: str | None
    waiting: int
    waiting_bytes: int
    oldest_ms: int | None
    oldest_age_s: int | None
    refused: int
    refused_bytes: int
    used_percent: int
    last_success_ms: int | None
    last_error: str | None
    last_error_ms: int | None
    problems: list[str]


def folder_of(conf: Conf) -> Path:
    return Path(conf.till.folder) if conf.till.folder else settings.home() / "till"


def limits_of(conf: Conf) -> Limits:
    till = conf.till
    return Limits(till.spool_records, till.spool_bytes, till.disk_free_bytes)


def status_of(conf: Conf, now_ms: int) -> Status:
    """Changes nothing, and is not in a running forwarder's way. Raises SpoolDamaged."""
    folder = folder_of(conf)
    sums = NOTHING
    if (db := layout.read_file(folder)) is not None:
        with contextlib.closing(db):
            sums = read_sums(db)
    said = progress.read(folder)
    used = max(
        100 * (sums.waiting + sums.refused) // conf.till.spool_records,
        100 * (sums.waiting_bytes + sums.refused_bytes) // conf.till.spool_bytes,
    )
    problems = []
    if sums.refused:
        problems.append(
            f"{sums.refused:,} records are refused: `tillstream till refused list` shows why"
        )
    # A clock that was put back makes no record younger than new.
    waited_ms = max(now_ms - sums.oldest_ms, 0) if sums.oldest_ms is not None else 0
    if waited_ms > conf.till.oldest_minutes * MINUTE_MS:
        problems.append(
            f"the oldest record waits for {waited_ms // MINUTE_MS:,} minutes (till.oldest_minutes: "
            f"{conf.till.oldest_minutes})"
        )
    if used >= conf.till.warn_percent:
        problems.append(f"the spool is {used} % full: at 100 % tills are refused")
    return Status(
        layout.is_locked(folder), said.get("target"), sums.waiting, sums.waiting_bytes, sums.oldest_ms,
        waited_ms // 1000 if sums.oldest_ms is not None else None,
        sums.refused, sums.refused_bytes, used, said.get("last_success_ms"), said.get("last_error"),
        said.get("last_error_ms"), problems,
    )  # fmt: skip
