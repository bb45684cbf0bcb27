"""The quality benchmark: its measures against cases done by hand, its protocol, its learning."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.fraud import baseline, protocol, stream
from tests.support import ROOT
from tillstream.domain.fraud.model import compile_model, probability
from tillstream.domain.fraud.ruleset import INDEX
from tillstream.domain.fraud.signals import NAMES
from tillstream.fraud.rules_file import read_rules
from tillstream.fraud.training import train
from tillstream.reference import packaged_clocks

RULES = ROOT / "benchmarks" / "fraud" / "rules.yaml"
DAY = 86_400_000


def data_of(rows) -> protocol.Data:
    """Data from (day, customer, terminal, cents, fraud), a second apart."""
    day, customer, terminal, cents, fraud = (np.array(column) for column in zip(*rows, strict=True))
    time_ms = 17_600 * DAY + day * DAY + np.arange(len(day)) * 1000
    return protocol.Data(
        np.arange(len(day)), time_ms, customer, terminal, cents, fraud.astype(bool), day,
        np.datetime64(17_600, "D"),
    )  # fmt: skip


def test_auc_counts_pairs_and_half_of_ties():
    truth = np.array([True, False, True, False])
    assert protocol.roc_auc(truth, np.array([4.0, 3.0, 2.0, 1.0])) == 0.75
    assert protocol.roc_auc(truth, np.array([1.0, 1.0, 1.0, 1.0])) == 0.5


def test_average_precision_steps_through_distinct_scores():
    truth = np.array([True, False, True, False])
    assert protocol.average_precision(truth, np.array([4.0, 3.0, 2.0, 1.0])) == pytest.approx(5 / 6)
    assert protocol.average_precision(truth, np.ones(4)) == 0.5


def test_a_card_found_is_not_counted_again_the_day_after():
    truth = np.array([True, False, True, False])
    day = np.array([0, 0, 1, 1])
    card = np.array([1, 2, 1, 2])
    scores = np.array([0.9, 0.1, 0.9, 0.1])
    assert protocol.card_precision(truth, scores, day, card, top=1) == 0.5


def test_cards_known_to_be_misused_are_not_tested():
    rows = [(d, customer, 0, 100, False) for d in range(21) for customer in (1, 2, 3, 4)]
    rows += [(3, 1, 0, 100, True), (7, 2, 0, 100, True), (9, 3, 0, 100, True)]
    data = data_of(sorted(rows))
    week = protocol.week(data, 0)
    tested = {
        customer: set(data.day[week.test][data.customer[week.test] == customer].tolist())
        for customer in (1, 2, 3, 4)
    }
    assert tested[1] == set()  # in the days of training
    assert tested[2] == {14}  # of day 7, so known from the second test day on
    assert tested[3] == {14, 15, 16}
    assert tested[4] == set(range(14, 21))
    assert set(data.day[week.train].tolist()) == set(range(7))


def test_test_weeks_are_the_last_whole_ones():
    data = data_of([(d, 1, 1, 100, False) for d in range(40)])
    assert protocol.weeks_at_the_end(data, 3) == [5, 12, 19]
    assert protocol.weeks_at_the_end(data_of([(3, 1, 1, 1, False)]), 3) == []


def test_a_label_is_not_known_before_its_week_is_over():
    rows = [(d, 1 + d % 3, 5, 1_000, d >= 1) for d in range(30)]
    data = data_of(rows)
    streamed = stream.run(
        data, read_rules(RULES, packaged_clocks()).rules, 0, len(rows), lambda n: None
    )
    frauds = streamed.signals[:, INDEX["terminal.frauds_28d"]]
    early = streamed.signals[:, INDEX["terminal.frauds_early"]]
    assert not frauds[:8].any()
    assert not early[:8].any()
    assert early[8] == 1  # that of day 1, seven days and a few seconds later
    assert frauds[9] == 1


def test_the_same_week_is_scored_the_same_whatever_comes_after():
    rng = np.random.default_rng(1)
    rows = [
        (d, int(rng.integers(20)), int(rng.integers(9)), int(rng.integers(1, 9_000)), rng.random() < 0.05)
        for d in range(25)
        for _ in range(20)
    ]  # fmt: skip
    rules = read_rules(RULES, packaged_clocks()).rules
    whole = stream.run(data_of(rows), rules, 0, len(rows), lambda n: None)
    part = stream.run(data_of(rows[:300]), rules, 0, 300, lambda n: None)
    assert np.array_equal(whole.scores[:300], part.scores)
    assert np.array_equal(whole.signals[:300], part.signals, equal_nan=True)


def test_the_model_as_data_says_what_lightgbm_says():
    lightgbm = pytest.importorskip("lightgbm")
    rng = np.random.default_rng(3)
    signals = np.full((3_000, len(NAMES)), np.nan, dtype=np.float32)
    ratio, run = INDEX["amount.ratio"], INDEX["terminal.run_frauds"]
    signals[:, ratio] = rng.lognormal(0, 1, 3_000)
    signals[:, run] = rng.integers(0, 3, 3_000)
    signals[rng.random(3_000) < 0.2, ratio] = np.nan
    frauds = (np.nan_to_num(signals[:, ratio]) > 3) | (signals[:, run] > 1) & (
        rng.random(3_000) < 0.5
    )
    features = {"amount.ratio": 1, "terminal.run_frauds": 0}
    model = train(signals, frauds, "t", features, rounds=30)
    score = compile_model(model, INDEX)
    made = np.array([probability(score(row)) for row in signals.astype(float).tolist()])
    assert model == train(signals, frauds, "t", features, rounds=30)
    assert protocol.roc_auc(frauds, made) > 0.85
    from tillstream.fraud.training import SETTINGS

    chosen = SETTINGS | {"monotone_constraints": [1, 0], "seed": 1}
    booster = lightgbm.train(chosen, lightgbm.Dataset(signals[:, [ratio, run]], frauds), 30)
    assert made == pytest.approx(booster.predict(signals[:, [ratio, run]].astype(float)), abs=1e-9)


def test_a_file_of_another_shape_is_refused_in_one_line(tmp_path):
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(protocol.BadFile, match="event_time"):
        protocol.read(path)
    with pytest.raises(protocol.BadFile):
        protocol.read(tmp_path / "missing.parquet")


def test_the_handbooks_features_count_windows_as_it_does():
    rows = [(d, 1, 5, 100 * (d + 1), d == 2) for d in range(12)]
    columns = baseline.features(data_of(rows))
    assert columns[0, 3:5].tolist() == [1, 100]
    assert columns[9, 3:5].tolist() == [1, 1_000]  # a day back, that second a day ago left out
    assert columns[9, 7:9].tolist() == [7, 700]
    terminal = columns[:, 5:7].tolist()
    assert terminal[8] == [1, 0]  # of day 1
    assert terminal[9] == [1, 1]  # of day 2, the fraud


def test_any_file_of_the_shape_is_reported_on(tmp_path, monkeypatch, capsys):
    pytest.importorskip("lightgbm")
    from benchmarks import fraud_quality

    rng = np.random.default_rng(5)
    count = 22 * 120
    day = np.sort(rng.integers(0, 22, count))
    amount = rng.lognormal(3.5, 0.5, count).round(2)
    fraud = rng.random(count) < 0.03
    amount[fraud] *= 6
    table = pa.table(
        {
            "transaction_id": np.arange(count),
            "event_time": np.datetime64("2018-07-25", "us") + (day * 86_400_000_000 + np.arange(count)),
            "customer_id": rng.integers(0, 400, count),
            "terminal_id": rng.integers(0, 30, count),
            "amount": amount,
            "is_fraud": fraud,
        }
    )  # fmt: skip
    pq.write_table(table, tmp_path / "week.parquet")
    arguments = ["--data", str(tmp_path / "week.parquet"), "--json", str(tmp_path / "out.json")]
    for more in ([], ["--train-from", "2018-07-26"]):
        monkeypatch.setattr(sys, "argv", ["fraud_quality", *arguments, *more])
        assert fraud_quality.main() == 0
        out = capsys.readouterr().out
        assert out.index("the score that ships") < out.index("rules")
    result = json.loads((tmp_path / "out.json").read_text())
    (week,) = result["weeks"]
    assert week["test_from"] == "2018-08-09"
    assert week["measures"]["rules"]["auc"] > 0.8
    assert week["measures"]["model"]["auc"] > 0.8
    assert next(iter(week["measures"])) == "the score that ships"
    assert week["distinct_scores"] > 0.3 * week["test"]["sales"]  # trees say few values of so few
    low, high = week["interval_90"]
    assert low[0] < week["measures"]["the score that ships"]["auc"] < high[0]
    assert len(week["seeds"]) == 5
    least = week["measures"]["least of five seeds"]
    assert all(least[name] <= seed[name] for seed in week["seeds"] for name in least)
    monkeypatch.setattr(sys, "argv", ["fraud_quality", *arguments, "--train-from", "2018-08-20"])
    assert fraud_quality.main() == 2
