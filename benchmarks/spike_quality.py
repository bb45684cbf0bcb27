"""How well spikes and collapses are found, as the Numenta Anomaly Benchmark (NAB) scores it.

``python benchmarks/spike_quality.py [--data FILE_OR_FOLDER [--labels FILE]] [--profile standard]``

``--data``: a CSV of NAB's form (timestamp, value), or a folder of them like NAB's ``data``; ``--labels``:
NAB's ``combined_windows.json`` or one of its form. Without labels the detections are listed. Without
``--data`` the series are made by ``--seed``: 45 of seven kinds; the detector was developed on seeds 1 to 5.

The detector is the pure one of `tillstream/domain/spikes/`, with the same rules for every series: it knows
no file, no minimum or maximum, and nothing that comes later. Two scores are given. "best threshold" takes
the one threshold for all series that scores best, as NAB's own runner does: this is what compares with
published scores. "own threshold" is the detector's alarm as it ships. Random numbers and a sliding Gaussian
are scored beside it.

``--payments``: instead, a year of simulated payments: false alarms against the stated rate, delays.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.progress import track

from benchmarks import output
from benchmarks.spikes import made, naive, payments, scoring
from benchmarks.spikes.made import Series
from benchmarks.spikes.scoring import Profile, Scored
from benchmarks.spikes.series import BadSeries, load
from tillstream.domain.spikes import detector
from tillstream.domain.spikes.rules import SpikeRules

RULES = SpikeRules()
OURS, RANDOM, GAUSSIAN = "detector", "random numbers", "sliding Gaussian"
HELD_OUT = 101
SHOWN = 20  # detections listed of a file


def main() -> int:
    parser = output.arguments(__doc__, disk=False)
    parser.add_argument("--data", type=Path, help="a CSV of timestamp, value; or a folder of them")
    parser.add_argument(
        "--labels", type=Path, help="JSON: path in the folder -> [[start, end], ...]"
    )
    parser.add_argument("--profile", choices=sorted(scoring.PROFILES), default="standard")
    parser.add_argument("--seed", type=int, nargs="+", default=[HELD_OUT], help="of made series")
    parser.add_argument("--strict", action="store_true", help="refuse times that do not go forward")
    parser.add_argument("--payments", action="store_true", help="simulated payments instead")
    parser.add_argument("--days", type=int, default=365, help="of payments")
    parser.add_argument("--plants", type=int, default=40, help="of each size, in each series")
    parser.add_argument(
        "--stated", type=float, default=12.0, help="false alarms a year, of payments"
    )
    args = parser.parse_args()
    try:
        result = {**output.about(), **_measured(args)}
    except BadSeries as error:
        output.say(f"spike_quality: {error}", markup=False, soft_wrap=True)
        return 2
    output.write(args.json, result)
    return 0


def _measured(args: Namespace) -> dict[str, Any]:
    """What was asked for, shown and as JSON values. Raises BadSeries."""
    if args.labels and not args.data:
        raise BadSeries("--labels needs --data, whose series they are about")
    if args.payments:
        rows = [row for seed in args.seed for row in _payments(seed, args)]
        return {"payments": rows, "stated_a_year": args.stated, "seeds": args.seed}
    if args.data:
        loaded = load(args.data, args.labels, args.strict)
        for note in loaded.notes:
            output.say(note, markup=False, soft_wrap=True)
        runs = {str(args.data): loaded.series}
    else:
        runs = {f"seed {seed}": made.corpus(seed) for seed in args.seed}
    profile = scoring.PROFILES[args.profile]
    found = [_of_corpus(name, series, profile, args) for name, series in runs.items()]
    return {"profile": args.profile, "alarm": RULES.alarm, "corpora": found}


def detect(series: Series, rules: SpikeRules = RULES) -> list[float]:
    """The detector's strength of each record, 0 where there is nothing."""
    watch, judge, out = None, detector.judge, []
    for second, value in zip(series.times, series.values, strict=True):
        watch, judged = judge(watch, int(second * 1000), value, rules)
        out.append(judged.strength)
    return out


def _of_corpus(
    name: str, corpus: Sequence[Series], profile: Profile, args: Namespace
) -> dict[str, Any]:
    windows = [scoring.indices(series.times, series.windows) for series in corpus]
    began = time.process_time()
    progress = track(corpus, name, console=output.Console(stderr=True), transient=True)
    scores = [detect(series) for series in progress]
    spent = time.process_time() - began
    found: dict[str, Any] = {"name": name, "series": len(corpus), "cost": _cost(corpus, spent)}
    if not any(windows):
        found["detections"] = [_detections(*pair) for pair in zip(corpus, scores, strict=True)]
        return found
    parts = [Scored(*pair) for pair in zip(windows, scores, strict=True)]
    best = scoring.best(parts, profile)
    found["best_threshold"] = best._asdict()
    found["own_threshold"] = scoring.at(parts, profile, RULES.alarm)._asdict()
    found["kinds"] = _by_kind(corpus, parts, profile, best.threshold)
    found["compared"] = {
        RANDOM: _compared(corpus, windows, profile, lambda v: naive.random_scores(v, 1)),
        GAUSSIAN: _compared(corpus, windows, profile, naive.gaussian_scores),
    }
    _show(found, args.profile)
    return found


def _compared(
    corpus: Sequence[Series],
    windows: list[list[tuple[int, int]]],
    profile: Profile,
    scorer: Callable[[list[float]], list[float]],
) -> float | None:
    pairs = zip(windows, corpus, strict=True)
    return scoring.best([Scored(w, scorer(series.values)) for w, series in pairs], profile).score


def _by_kind(
    corpus: Sequence[Series], parts: list[Scored], profile: Profile, threshold: float
) -> dict[str, Any]:
    """The parts of the score by the first folder of the name, each at both thresholds."""
    kinds: dict[str, list[Scored]] = {}
    for series, part in zip(corpus, parts, strict=True):
        kinds.setdefault(series.name.rpartition("/")[0] or series.name, []).append(part)
    return {
        kind: {
            "best_threshold": scoring.at(some, profile, threshold)._asdict(),
            "own_threshold": scoring.at(some, profile, RULES.alarm)._asdict(),
        }
        for kind, some in kinds.items()
    }


def _cost(corpus: Sequence[Series], spent: float) -> dict[str, float]:
    """Microseconds of CPU per record, and in how many turns of a loop that only adds values up."""
    records, total = sum(len(series.times) for series in corpus), 0.0
    began = time.process_time()
    for series in corpus:
        for _, value in zip(series.times, series.values, strict=True):
            total += value
    trivial = max(time.process_time() - began, 1e-9)
    return {
        "records": records,
        "us_a_record": round(spent / records * 1e6, 2),
        "times_a_trivial_loop": round(spent / trivial),
    }


def _detections(series: Series, scores: list[float]) -> dict[str, Any]:
    found = [
        (datetime.fromtimestamp(series.times[n], UTC).isoformat(" "), series.values[n], score)
        for n, score in enumerate(scores)
        if score >= RULES.alarm
    ]
    output.table(
        f"{series.name}: {len(found)} detections in {len(scores):,} records",
        ("time", "value", "strength"),
        [(at, f"{value:g}", f"{score:.2f}") for at, value, score in found[:SHOWN]],
    )
    return {"name": series.name, "detections": found}


def _cells(result: dict[str, Any]) -> list[str]:
    score = "-" if result["score"] is None else f"{result['score']:.1f}"
    return [score, str(result["found"]), str(result["missed"]), str(result["false"])]


def _show(found: dict[str, Any], profile: str) -> None:
    rows = [
        (kind, *_cells(both["best_threshold"]), _cells(both["own_threshold"])[0])
        for kind, both in found["kinds"].items()
    ]
    best, own = found["best_threshold"], found["own_threshold"]
    rows.append(("all", *_cells(best), _cells(own)[0]))
    rows += [(name, f"{score:.1f}", "", "", "", "") for name, score in found["compared"].items()]
    columns = ("kind", "best threshold", "found", "missed", "false", "own threshold")
    output.table(f"{found['name']}, {profile} profile", columns, rows)
    cost = found["cost"]
    output.tell(
        f"The best threshold is {best['threshold']:.2f}, its own {own['threshold']:.2f}. "
        f"{cost['records']:,} records, {cost['us_a_record']} µs of CPU each: "
        f"{cost['times_a_trivial_loop']} turns of a loop that only adds them up."
    )


def _payments(seed: int, args: Namespace) -> list[dict[str, Any]]:
    rows = payments.measure(seed, args.days, args.stated, args.plants)
    factors = [f"x {factor:g}" for factor in payments.FACTORS]
    output.table(
        f"Payments, seed {seed}: found, median minutes; stated {args.stated:g} false alarms a year",
        ("series", "false a year", *factors),
        [
            (
                row["series"],
                f"{row['false_alarms_a_year']:g}",
                *map(_planted, row["planted"].values()),
            )
            for row in rows
        ],
    )
    return [{"seed": seed, **row} for row in rows]


def _planted(found: dict[str, Any]) -> str:
    median = found["median_minutes"]
    return f"{found['found']:.0%}, {'-' if median is None else f'{median:g}'}"


if __name__ == "__main__":
    sys.exit(main())
