"""An overload is over when things are as before, and a sale that never came back is found."""

from __future__ import annotations

from types import SimpleNamespace
from xml.etree import ElementTree

import msgspec
import pytest

from benchmarks import overload, profile_job
from benchmarks.pacer import ID, TIMES, baskets, number, split
from tillstream.domain.receipt.canonical import Receipt
from tillstream.domain.transaction import parse


@pytest.fixture
def events() -> overload.Events:
    made = overload.Events.__new__(overload.Events)
    made.late = overload.defaultdict(list)
    made.seen, made.told, made.events = bytearray(), 0, 0
    made._id, made._time = overload.FIELDS["loyalty"]
    return made


def test_a_sale_made_of_parts_is_a_sale_with_its_number_and_time():
    made = baskets(50, 20)
    assert len(made) > 20
    for n, (key, before, around) in enumerate(made):
        raw = before + ID.format(n).encode() + b"1764000000123".join(around)
        sale = parse(raw)
        assert number(sale.transaction_id) == n
        assert sale.event_time_ms == 1_764_000_000_123
        assert sale.customer_id == key.decode()
        assert split(raw, TIMES) == (before, around)


def test_so_is_one_of_the_front_door_s_and_it_arrived_when_it_was_sent():
    made = baskets(50, 20, checked=True)
    assert len(made) > 20
    read = msgspec.json.Decoder(Receipt).decode
    for n, (key, before, around) in enumerate(made):
        receipt = read(before + ID.format(n).encode() + b"1764000000123".join(around))
        assert number(receipt.transaction_id) == n
        assert receipt.ended_ms == receipt.arrived_ms == 1_764_000_000_123
        assert receipt.key == receipt.customer == key.decode()


def test_an_event_that_comes_twice_is_one_sale(events):
    for n in (5, 7, 5):
        events.take({"transaction_id": ID.format(n), "event_time_ms": 999_000}, now=1_000.25)
    assert (events.events, events.told) == (3, 2)
    assert events.late == {1_000: [1_250] * 3}


def test_an_entry_of_a_line_is_of_its_sale(events):
    events._id, events._time = overload.FIELDS["inventory"]
    events.take({"entry_id": f"{ID.format(250_000)}/3", "event_time_ms": 0}, now=1.0)
    assert events.seen[250_000]


def test_what_is_lost_is_what_was_sent_and_not_told(events, monkeypatch):
    monkeypatch.setattr(overload, "PATIENCE_S", 0.0)
    monkeypatch.setattr(events, "close", lambda: None, raising=False)
    run = overload.Run.__new__(overload.Run)
    run.events, run.job_id = events, "j"
    run.pacer = SimpleNamespace(stop=lambda: 3)
    run.flink = SimpleNamespace(cancel=lambda job: None)
    for n in (0, 2):
        events.take({"transaction_id": ID.format(n), "event_time_ms": 0}, now=0.0)
    assert run.end() == {"sent": 3, "told": 2, "lost": 1, "events": 2}


def test_as_before_means_little_waits_and_p99_is_back():
    steady = {"p99_ms": 400.0}
    assert overload.as_before({"waiting": 10, "p99_ms": 700.0}, steady, rate=100)
    assert not overload.as_before({"waiting": 10, "p99_ms": 900.0}, steady, rate=100)
    assert not overload.as_before({"waiting": 100, "p99_ms": 300.0}, steady, rate=100)
    assert not overload.as_before({"waiting": 0}, steady, rate=100), "nothing came: not known"


def test_only_whole_seconds_are_counted(events):
    events.late.update({9: [1], 10: [2], 11: [3], 12: [4]})
    assert overload.between(events, 9.5, 12.5) == [2, 3]


def test_the_curve_is_a_picture():
    rows = [
        {"sent_per_second": 1_000.0 * n, "p50_ms": 5.0 * n, "p99_ms": 20.0 * n} for n in (1, 2, 9)
    ]
    lines = ElementTree.fromstring(overload.svg(rows)).iter("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.get("points").split()) for line in lines] == [3, 3]


def test_python_stacks_of_either_sampler_count_by_function():
    own, whole = profile_job.python_shares(
        [
            "run (threading.py:9);wait (threading.py:3) 50",
            "process_element1 (udfs/batched.py:100);record (udfs/loyalty.py:60) 3",
            "batched.BatchedFunction.process_element1:99 1",
        ]
    )
    assert own == {"loyalty.record": 3, "batched.BatchedFunction.process_element1": 1}
    assert whole["batched.process_element1"] == 3


def test_a_share_with_callees_is_of_the_samples(tmp_path):
    file = tmp_path / "stacks"
    file.write_text("process_element1 (b.py:1);f (a.py:2) 3\nprocess_element1 (b.py:1) 1\n")
    own, whole = profile_job.python_part(file, False, "")
    assert own.splitlines()[1:] == [" 75.0%  a.f", " 25.0%  b.process_element1"]
    assert whole.splitlines()[1:] == ["100.0%  b.process_element1", " 75.0%  a.f"]


def test_java_stacks_count_by_thread_by_method_and_by_ours():
    said = """
jdk.ExecutionSample {
  startTime = 12:00:00.000
  sampledThread = "points ledger by customer (1/1)#0" (javaThreadId = 1)
  state = "STATE_RUNNABLE"
  stackTrace = [
    java.util.HashMap.getNode(Object) line: 570
    io.tillstream.flink.BatchedPython.packed() line: 200
    io.tillstream.flink.BatchedPython.flush() line: 180
    ...
  ]
}
jdk.ExecutionSample {
  sampledThread = "Source: till transactions (1/1)#0" (javaThreadId = 2)
  stackTrace = [
    io.tillstream.flink.TopLevelField.of(byte[]) line: 9
  ]
}
"""
    by_thread, own, ours = profile_job.java_shares(said.splitlines())
    assert by_thread == {"points ledger by customer": 1, "Source: till transactions": 1}
    assert own["java.util.HashMap.getNode"] == 1
    assert ours["io.tillstream.flink.BatchedPython.flush"] == 1
    assert profile_job.ranked(ours, own.total()).startswith(" 50.0%")
