"""The benchmark of spikes on small files: scores, detections, errors that name file and line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random

import pytest

from benchmarks import spike_quality
from benchmarks.spikes import made, payments
from benchmarks.spikes.series import BadSeries, load

HEADER = "timestamp,value\n"


def stamp(n: int) -> str:
    return f"2014-02-{14 + n // 288:02d} {n % 288 // 12:02d}:{n % 12 * 5:02d}:00"


def csv(path: Path, count: int = 900, spike: int = 600) -> Path:
    chance = Random(1)
    rows = [f"{stamp(n)},{chance.gauss(50, 2) + 80 * (n == spike):.3f}\n" for n in range(count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + "".join(rows))
    return path


def labels(path: Path, name: str, first: int = 580, last: int = 669) -> Path:
    window = [stamp(first) + ".000000", stamp(last) + ".000000"]
    path.write_text(json.dumps({name: [window]}))
    return path


def run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["spike_quality.py", *map(str, arguments)])
    return spike_quality.main()


def test_a_folder_with_labels_is_scored(tmp_path, monkeypatch, capsys):
    csv(tmp_path / "data/real/cpu.csv")
    csv(tmp_path / "data/real/quiet.csv", spike=-1)
    named = labels(tmp_path / "windows.json", "real/cpu.csv")
    out = tmp_path / "out.json"
    assert run(monkeypatch, "--data", tmp_path / "data", "--labels", named, "--json", out) == 0
    figures = json.loads(out.read_text())
    corpus = figures["corpora"][0]
    assert corpus["best_threshold"]["found"] == 1
    assert corpus["best_threshold"]["score"] > 50
    assert list(corpus["kinds"]) == ["real"]
    assert corpus["cost"]["records"] == 1800
    assert "best threshold" in capsys.readouterr().out


def test_one_file_takes_its_labels_by_the_end_of_its_path(tmp_path):
    path = csv(tmp_path / "NAB/data/real/cpu.csv")
    found = load(path, labels(tmp_path / "windows.json", "real/cpu.csv"))
    assert found.series[0].name == "real/cpu.csv"
    assert len(found.series[0].windows) == 1


def test_without_labels_detections_are_shown(tmp_path, monkeypatch, capsys):
    path = csv(tmp_path / "cpu.csv")
    assert run(monkeypatch, "--data", path) == 0
    out = capsys.readouterr().out
    assert "detections in 900 records" in out
    assert "2014-02-16 02:00" in out  # the spike, record 600


def test_times_that_do_not_go_forward_are_reported_and_refused_only_on_request(tmp_path):
    path = tmp_path / "cpu.csv"
    path.write_text(HEADER + f"{stamp(1)},1\n{stamp(1)},2\n{stamp(0)},3\n{stamp(2)},4\n")
    found = load(path, None)
    assert len(found.series[0].times) == 4
    assert found.series[0].times == sorted(found.series[0].times)
    assert found.notes == [f"{path}:3: first of 2 records not later than the one before"]
    with pytest.raises(BadSeries, match=r"cpu\.csv:3: .* is not later"):
        load(path, None, strict=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        (HEADER, "no record in it"),
        (
            "timestamp,amount\n2014-02-14 00:00:00,1\n",
            ":1: no column value, only timestamp, amount",
        ),
        (HEADER + "2014-02-14 00:00:00,1\n2014-02-14 00:05:00,much\n", ":3: the value 'much'"),
        (HEADER + "2014-02-14 00:00:00,nan\n", ":2: the value 'nan' is not a finite number"),
        (HEADER + "yesterday,1\n", ":2: 'yesterday' is not a time"),
        (HEADER + "2014-02-14 00:00:00\n", ":2: 1 columns, too few"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, monkeypatch, capsys, text, said):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    assert run(monkeypatch, "--data", path) == 2
    with pytest.raises(BadSeries) as error:
        load(path, None)
    assert said in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("{", ":1: not JSON"),
        ("[]", "not an object"),
        ('{"cpu.csv": 3}', r"not a list of \[start, end\]"),
        ('{"cpu.csv": [["2014-02-15 00:00:00", "2014-02-14 00:00:00"]]}', "ends before it starts"),
        ('{"cpu.csv": [["now", "then"]]}', "is not a time"),
        ('{"cpu.csv": [], "gone.csv": []}', "labels for gone.csv, which is not in"),
    ],
)
def test_bad_labels_are_one_line_too(tmp_path, raw, said):
    csv(tmp_path / "data/cpu.csv", 5)
    named = tmp_path / "windows.json"
    named.write_text(raw)
    with pytest.raises(BadSeries, match=said):
        load(tmp_path / "data", named)


def test_what_is_not_there_is_reported(tmp_path, monkeypatch):
    assert run(monkeypatch, "--data", tmp_path / "none") == 2
    assert run(monkeypatch, "--data", tmp_path) == 2
    assert run(monkeypatch, "--labels", tmp_path / "none") == 2


def test_a_made_corpus_is_the_same_for_the_same_seed_and_labelled_as_nab_does():
    corpus = made.corpus(1)
    assert corpus == made.corpus(1)
    assert corpus != made.corpus(2)
    kinds = {series.name.partition("/")[0] for series in corpus}
    assert len(kinds) == 7
    assert len(corpus) >= 30
    for series in corpus:
        assert series.times == sorted(series.times)
        inside = sum(
            sum(first <= time <= last for time in series.times) for first, last in series.windows
        )
        share = inside / len(series.times)
        assert share == 0 if "without" in series.name else 0.05 < share < 0.12


def test_simulated_payments_know_paydays_and_holidays():
    kind = payments.KINDS[0]
    points = list(payments.counts(kind, 60, 1))
    assert len(points) == 60 * payments.A_DAY
    days = [sum(point.value for point in points[n * 288 : (n + 1) * 288]) for n in range(60)]
    thursday = (payments.date(2027, 2, 25) - payments.FIRST).days
    assert days[thursday] > 1.15 * days[thursday - 7]


def test_payments_are_measured_by_series_and_size():
    found = payments.measure(seed=1, days=44, false_alarms_a_year=12, plants=1)
    assert [row["series"] for row in found] == [kind.name for kind in payments.KINDS]
    for row in found:
        assert set(row["planted"]) == {str(factor) for factor in payments.FACTORS}
        assert row["years"] > 0
