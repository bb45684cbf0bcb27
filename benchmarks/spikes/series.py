"""Reads series and labels in the form of the Numenta Anomaly Benchmark.

A series is a CSV with a header that names ``timestamp`` and ``value``; a folder of them is walked. Labels are
a JSON object: path below the folder -> list of [start, end], as "2014-02-14 14:30:00.000000".
"""

from __future__ import annotations

import csv
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.spikes.made import Series

NEEDED = ("timestamp", "value")


class BadSeries(ValueError):
    """A file that cannot be used: one line that names it and, where there is one, its line."""


class Loaded(NamedTuple):
    """notes: what is odd in the files and was read nevertheless, a line each."""

    series: list[Series]
    notes: list[str]


def load(data: Path, labels: Path | None, strict: bool = False) -> Loaded:
    """Every series of a file or folder, with its windows. ``strict``: a record that is not later than the one
    before it is an error; else it counts as at that one's time. Raises BadSeries."""
    if not data.exists():
        raise BadSeries(f"{data}: no such file or folder")
    files = sorted(data.rglob("*.csv")) if data.is_dir() else [data]
    if not files:
        raise BadSeries(f"{data}: no .csv file in it")
    windows = _labels(labels) if labels else {}
    series, notes, used = [], [], set()
    for path in files:
        name = path.relative_to(data).as_posix() if data.is_dir() else path.name
        key = name if name in windows or data.is_dir() else _below(path, windows)
        times, values, note = _records(path, strict)
        notes += [note] if note else []
        series.append(Series(key, times, values, windows.get(key, [])))
        used.add(key)
        if labels and key not in windows:
            notes.append(f"{path}: {labels.name} has no entry for it, only detections are shown")
    if unknown := sorted(set(windows) - used) if data.is_dir() else ():
        raise BadSeries(f"{labels}: labels for {unknown[0]}, which is not in {data}")
    if windows and not used & set(windows):
        raise BadSeries(f"{labels}: no labels for {data}")
    return Loaded(series, notes)


def _below(path: Path, windows: dict[str, Any]) -> str:
    """The label's path that ends as this file's does."""
    whole = path.resolve().as_posix()
    return next((name for name in windows if whole.endswith("/" + name)), path.name)


def _records(path: Path, strict: bool) -> tuple[list[float], list[float], str]:
    times: list[float] = []
    values: list[float] = []
    back, first_back = 0, 0
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            at, of = _columns(path, next(rows, None))
            for row in rows:
                if not row:
                    continue
                where = f"{path}:{rows.line_num}"
                if len(row) <= max(at, of):
                    raise BadSeries(f"{where}: {len(row)} columns, too few")
                time, value = seconds(row[at], where), _number(row[of], where)
                if times and time <= times[-1]:
                    if strict:
                        raise BadSeries(f"{where}: {row[at]} is not later than the record before")
                    back, first_back = back + 1, first_back or rows.line_num
                    time = times[-1]
                times.append(time)
                values.append(value)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise BadSeries(f"{path}: {error}") from error
    if not times:
        raise BadSeries(f"{path}: no record in it")
    note = f"{path}:{first_back}: first of {back} records not later than the one before"
    return times, values, note if back else ""


def _columns(path: Path, header: list[str] | None) -> tuple[int, int]:
    if header is None:
        raise BadSeries(f"{path}: the file is empty")
    names = [name.strip() for name in header]
    for name in NEEDED:
        if name not in names:
            raise BadSeries(f"{path}:1: no column {name}, only {', '.join(names)}")
    return names.index("timestamp"), names.index("value")


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise BadSeries(f"{where}: the value {text!r} is not a number") from None
    if not math.isfinite(value):
        raise BadSeries(f"{where}: the value {text!r} is not a finite number")
    return value


def seconds(text: str, where: str) -> float:
    """Since the epoch; a time without a zone is taken as UTC. Raises BadSeries."""
    try:
        time = datetime.fromisoformat(text.strip())
    except (ValueError, AttributeError):
        raise BadSeries(f"{where}: {text!r} is not a time like 2014-02-14 14:30:00") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _labels(path: Path) -> dict[str, list[tuple[float, float]]]:
    try:
        raw = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise BadSeries(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadSeries(f"{path}: {error}") from None
    if not isinstance(raw, dict):
        raise BadSeries(f"{path}: not an object of paths with their windows")
    found = {}
    for name, windows in raw.items():
        where = f"{path}: {name}"
        if not isinstance(windows, list) or not all(
            isinstance(window, list) and len(window) == 2 for window in windows
        ):
            raise BadSeries(f"{where}: not a list of [start, end]")
        pairs = [(seconds(start, where), seconds(end, where)) for start, end in windows]
        if late := [one for one, (start, end) in enumerate(pairs) if start > end]:
            raise BadSeries(f"{where}: window {late[0] + 1} ends before it starts")
        found[name] = sorted(pairs)
    return found
