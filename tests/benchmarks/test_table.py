"""One table says what was measured, what was not, and how far repeats lie apart."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from rich.console import Console

from benchmarks import bare, table, table_view
from benchmarks.peers import run as peers
from benchmarks.rig import STAGE
from tillstream.cli import main
from tillstream.sizing.bench import JOBS, PEERS


def sample(rate: float, **more) -> dict:
    return {"rate": rate, "per_cpu_second": rate / 2, **more}


@pytest.fixture
def figures(monkeypatch) -> dict:
    """Of a run whose rig only counts; Bytewax does not run."""
    calls: list[tuple] = []

    def rate(job, topic, parallelism, mode="batched", **rest):
        calls.append((job, mode))
        return sample(1_000.0 * len(calls), cpu_us={"python": 9.0, "jvm": 5.0, "broker": 1.0})

    def failing(name, *rest, **watching):
        raise peers.PeerError(f"{name} says no")

    conf = SimpleNamespace(source=SimpleNamespace(kafka=SimpleNamespace(bootstrap="h:1")))
    bench = SimpleNamespace(rate=rate, conf=lambda overrides: conf, stack=None, clear=lambda: None)
    bench.stack = SimpleNamespace(layout=SimpleNamespace(data=None))
    monkeypatch.setattr(bare, "consume", lambda *args: sample(70_000.0))
    monkeypatch.setattr(peers, "rate", failing)
    chosen = table.Settings(peers=("bytewax",), repeats=3)
    rows = table.rates(bench, chosen, table.Put(600, 1_800, 480, 100))
    rows["loyalty"]["latency"] = {"p50_ms": 20.0, "p99_ms": 80.0}
    rows["loyalty"]["latency_from_till"] = {"p50_ms": 31.0, "p99_ms": 97.0}
    rows["loyalty"]["state"] = {"key": "customer", "bytes_a_key": 280.4}
    return {
        "date": "2026-01-01", "machine": "2 cores", "cpu": "any", "topic": {"count": 600},
        "settings": {"latency_rate": 1000}, "rows": rows,
    }  # fmt: skip


def test_rows_are_measured_in_rounds_and_process_mode_once(figures):
    rows = figures["rows"]
    assert len(rows["loyalty"]["samples"]) == 3
    assert len(rows["fraud, process mode"]["samples"]) == 1
    spread = rows["loyalty"]["rate"]
    assert spread["min"] < spread["median"] < spread["max"]


def test_a_peer_that_does_not_run_is_told_and_the_others_count(figures):
    row = figures["rows"]["loyalty sum, Bytewax 0.21"]
    assert "bytewax says no" in row["error"]
    assert figures["rows"][table.BARE]["rate"]["median"] == 70_000


def test_the_table_shows_every_row(figures):
    console = Console(width=200, record=True, file=io.StringIO())
    table_view.show(figures, console)
    said = console.export_text()
    for name in figures["rows"]:
        assert name in said
    assert "20 / 80" in said
    assert "31 / 97" in said
    assert "280 (customer)" in said


def test_the_picture_has_a_bar_for_each_measured_row(figures):
    tree = ElementTree.fromstring(table_view.svg(figures))
    bars = [e for e in tree.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert len(bars) == sum("rate" in row for row in figures["rows"].values())


def test_the_command_shows_earlier_figures_without_measuring(figures, tmp_path):
    file, picture = tmp_path / "f.json", tmp_path / "f.svg"
    file.write_text(json.dumps(figures))
    done = CliRunner().invoke(main, ["bench", "--from", str(file), "--picture", str(picture)])
    assert done.exit_code == 0, done.output
    assert "loyalty sum, SQL" in done.output
    assert picture.read_text().startswith("<svg")


def test_an_unknown_job_or_peer_is_named_with_those_there_are():
    done = CliRunner().invoke(main, ["bench", "--jobs", "loyalti"])
    assert done.exit_code == 2
    assert "no loyalti; there are intake, loyalty, archive" in done.output
    assert set(STAGE) == set(JOBS)
    assert set(peers.PEERS) == set(PEERS)


def test_latencies_are_of_each_job_alone_and_of_those_behind_intake_from_the_till(monkeypatch):
    ups: list[int] = []
    stack = SimpleNamespace(up=lambda taskmanagers, progress: ups.append(taskmanagers))
    bench = SimpleNamespace(stack=stack, clear=lambda: None)

    def measured(bench, job, rate, seconds, warm_s, from_till=False):
        return {"p50_ms": 1.0 + from_till}

    monkeypatch.setattr(table, "event_latency", measured)
    monkeypatch.setattr(table, "alert_latency", measured)
    found = table.latencies(bench, table.Settings())
    alone, behind = ("intake", "loyalty", "fraud", "inventory"), ("loyalty", "fraud", "inventory")
    assert found == {
        **{(job, table.ALONE): {"p50_ms": 1.0} for job in (*alone, table.BARE)},
        **{(job, table.FROM_TILL): {"p50_ms": 2.0} for job in behind},
    }
    assert ups == [2, 2, 2]


def test_state_is_told_of_each_job_from_its_own_codec(monkeypatch):
    def little(count: int, visits: float = 10.0, **more: Any) -> table.in_python.Traffic:
        return real(min(count, 300), visits, **more)

    monkeypatch.setattr(table.in_python, "Traffic", little)
    found = table.state(table.Settings())
    assert found["loyalty"]["key"] == "customer"
    assert set(found["fraud"]["all"]) == {"fraud-till", "fraud-card", "fraud-profile"}
    assert found["shortage"]["key"] == "store"
    assert found["intake"]["key"] == "transaction"
    assert "archive" not in found


real = table.in_python.Traffic
