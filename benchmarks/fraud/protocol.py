"""The Fraud Detection Handbook's protocol: windows, removal of known cards, and its three measures.

Y.-A. Le Borgne, W. Siblini, B. Lebichot, G. Bontempi, Reproducible Machine Learning for Credit Card
Fraud Detection, Université Libre de Bruxelles, 2022, chapters 3 to 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TRAIN = DELAY = TEST = 7  # days
COLUMNS = ("transaction_id", "event_time", "customer_id", "terminal_id", "amount", "is_fraud")


class BadFile(ValueError):
    """The file is not of the shape this benchmark reads; one line that says why."""


@dataclass(frozen=True)
class Data:
    """Card transactions in order of time. time_ms: since 1970 UTC; day: from 0 at the first."""

    number: np.ndarray
    time_ms: np.ndarray
    customer: np.ndarray
    terminal: np.ndarray
    cents: np.ndarray
    fraud: np.ndarray
    day: np.ndarray
    first_day: np.datetime64

    def __len__(self) -> int:
        return len(self.number)


def read(path: Path) -> Data:
    """The transactions of a Parquet file with COLUMNS. Raises BadFile."""
    try:
        names = pq.read_schema(path).names
        if missing := [name for name in COLUMNS if name not in names]:
            raise BadFile(f"{path}: no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
        table = pq.read_table(path, columns=list(COLUMNS))
    except (OSError, pa.ArrowException) as error:
        raise BadFile(f"{path}: {str(error).splitlines()[0]}") from None
    if not len(table):
        raise BadFile(f"{path}: no transactions")
    if any(table[name].null_count for name in COLUMNS):
        raise BadFile(f"{path}: empty values")
    time_ms = table["event_time"].to_numpy().astype("datetime64[ms]").astype(np.int64)
    number = table["transaction_id"].to_numpy()
    order = np.lexsort((number, time_ms))
    days = time_ms[order] // 86_400_000
    return Data(
        number[order],
        time_ms[order],
        table["customer_id"].to_numpy()[order],
        table["terminal_id"].to_numpy()[order],
        np.rint(table["amount"].to_numpy()[order] * 100).astype(np.int64),
        table["is_fraud"].to_numpy()[order].astype(bool),
        days - days[0],
        np.datetime64(int(days[0]), "D"),
    )


class Week(NamedTuple):
    """Places of the transactions to train on and to test on."""

    start: int
    train: np.ndarray
    test: np.ndarray


def week(data: Data, start: int) -> Week:
    """Train on seven days from day ``start``, wait seven, test on the seven after.

    Cards with a fraud in the training days are not tested, nor are, on each test day, those with a
    fraud on a day of which the labels are in by then, one day more each day.
    """
    day, fraud, customer = data.day, data.fraud, data.customer
    train = (day >= start) & (day < start + TRAIN)
    known = set(customer[train & fraud].tolist())
    parts = []
    for n in range(TEST):
        known |= set(customer[(day == start + TRAIN + n - 1) & fraud].tolist())
        places = np.flatnonzero(day == start + TRAIN + DELAY + n)
        parts.append(places[~np.isin(customer[places], list(known))])
    return Week(start, np.flatnonzero(train), np.concatenate(parts))


def weeks_at_the_end(data: Data, count: int) -> list[int]:
    """Where training starts for the last ``count`` test weeks of whole days."""
    last = int(data.day[-1]) + 1 - TEST - DELAY - TRAIN
    starts = [last - 7 * n for n in range(count) if last - 7 * n >= 0]
    return sorted(starts)


class Measures(NamedTuple):
    """ROC AUC, average precision, card precision at 100 a day."""

    auc: float
    precision: float
    cards: float


def measure(data: Data, places: np.ndarray, scores: np.ndarray) -> Measures:
    truth = data.fraud[places]
    return Measures(
        roc_auc(truth, scores),
        average_precision(truth, scores),
        card_precision(truth, scores, data.day[places], data.customer[places]),
    )


def interval(
    data: Data, places: np.ndarray, scores: np.ndarray, redraws: int = 100, seed: int = 1
) -> tuple[Measures, Measures]:
    """5th and 95th percentile of each measure when the tested cards are redrawn with all their sales: the
    bootstrap by clusters of B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), 8.3. A card
    that is drawn twice counts as two."""
    rng = np.random.default_rng(seed)
    order = np.argsort(data.customer[places], kind="stable")
    cards, begin, count = np.unique(
        data.customer[places][order], return_index=True, return_counts=True
    )
    truth, day = data.fraud[places], data.day[places]
    found = []
    for _ in range(redraws):
        drawn = rng.integers(0, len(cards), len(cards))
        sizes = count[drawn]
        card = np.repeat(np.arange(len(cards)), sizes)
        within = np.arange(len(card)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = order[np.repeat(begin[drawn], sizes) + within]
        now = truth[rows], scores[rows]
        measured = roc_auc(*now), average_precision(*now), card_precision(*now, day[rows], card)
        found.append(measured)
    low, high = np.percentile(found, (5, 95), axis=0).tolist()
    return Measures(*low), Measures(*high)


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a fraud scores above an honest sale, ties counted half (Mann-Whitney)."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    frauds = int(truth.sum())
    honest = len(truth) - frauds
    return float((ranks[truth].sum() - frauds * (frauds + 1) / 2) / (frauds * honest))


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Precision at each distinct score, weighted by the recall gained there; no interpolation."""
    _, place = np.unique(-scores, return_inverse=True)
    frauds = np.bincount(place, weights=truth)
    precision = np.cumsum(frauds) / np.cumsum(np.bincount(place))
    return float((frauds * precision).sum() / truth.sum())


def card_precision(
    truth: np.ndarray, scores: np.ndarray, day: np.ndarray, card: np.ndarray, top: int = 100
) -> float:
    """Of the ``top`` cards with the highest score of a day, the share with a fraud that day, mean of
    the days. A card found is left out on the days after. Ties: the lower card number first."""
    found: set[int] = set()
    shares = []
    for one in np.unique(day):
        of_day = day == one
        best: dict[int, float] = {}
        bad: set[int] = set()
        rows = zip(
            card[of_day].tolist(), scores[of_day].tolist(), truth[of_day].tolist(), strict=True
        )
        for who, score, fraud in rows:
            if who in found:
                continue
            if score > best.get(who, float("-inf")):
                best[who] = score
            if fraud:
                bad.add(who)
        highest = sorted(best, key=lambda who: (-best[who], who))[:top]
        hits = [who for who in highest if who in bad]
        shares.append(len(hits) / top)
        found.update(hits)
    return float(np.mean(shares))
