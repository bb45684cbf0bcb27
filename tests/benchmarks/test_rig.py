"""What benchmarks say about a run follows from what they saw of it."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from types import SimpleNamespace

import msgspec
import psutil

from benchmarks import cpu, front_door, guard, in_python, rig
from benchmarks.cpu import CLOCK, Meter, Used
from benchmarks.in_python import Traffic
from benchmarks.jobs.clocked import Clocked
from benchmarks.jobs.stacks import collapsed
from benchmarks.output import spread
from benchmarks.rig import CHECKED, RAW, STAGE, Rig, mid_run, names
from tillstream import catalog
from tillstream.catalog import tables, topics
from tillstream.conf import load
from tillstream.local.stack import Stack
from tillstream.udfs import intake, loyalty


def used(total: float, python: float = 0.0, conversion: float = 0.0) -> Used:
    return Used(total, python, conversion, total / 2, Counter({"GC": total / 4}), True)


def test_a_rate_is_taken_between_the_first_and_the_last_sample_alone():
    seen = [(10.0, 1_000, used(2.0, 1.0, 0.5)), (11.0, 2_000, used(2.5)),
            (12.0, 4_000, used(4.0, 2.0, 1.0))]  # fmt: skip
    row = mid_run(seen, each=0.5)
    assert row["rate"] == 750
    assert row["per_cpu_second"] == 750
    assert row["records"] == 1_500
    assert row["rate_sd"] == 250
    assert row["cpu_us"] == {
        "python": 666.67, "conversion": 333.33, "jvm": 333.33, "broker": 666.67,
    }  # fmt: skip


def test_after_a_pause_a_stage_is_asked_for_twice_for_the_first_answer_is_old(
    monkeypatch, tmp_path
):
    class Flink:
        """Like Flink's REST: what was true when it was last asked."""

        now, known, asked = 0, 0, 0

        def job(self, job_id: str) -> dict:
            answer = {"name": "judge", "metrics": {"read-records": self.known}}
            self.known, self.asked = self.now, self.asked + 1
            return {"vertices": [answer]}

    monkeypatch.setattr(rig.time, "sleep", lambda seconds: None)
    flink, clock = Flink(), [100.0]
    monkeypatch.setattr(rig.time, "monotonic", lambda: clock[0])
    bench = Rig(Stack(tmp_path))
    bench.jobs = SimpleNamespace(flink=flink)  # type: ignore[assignment]
    flink.now = 5
    assert bench.done("id", "judge") == 5
    clock[0], flink.now = 115.0, 80
    assert bench.done("id", "judge") == 80
    clock[0] += 0.5
    assert bench.done("id", "judge") == 80
    assert flink.asked == 5, "one that asks all the time asks once"


def test_without_clocks_nothing_is_said_of_python_in_the_jvm():
    row = used(4.0)._replace(split_known=False)
    assert row.split() == {"jvm": 4.0, "broker": 2.0}


def test_python_is_told_from_the_rest_of_its_thread(tmp_path):
    me = psutil.Process()
    thread = cpu.threads(me.pid)
    assert os.getpid() in thread, "the main thread has the process's id"
    (tmp_path / "a.clock").write_bytes(CLOCK.pack(me.pid, 30_000_000, 7))
    (tmp_path / "b.clock").write_bytes(bytes(CLOCK.size))  # not begun
    (tmp_path / "c.clock").write_bytes(b"")  # being made
    assert cpu.clocks(tmp_path) == [(me.pid, 0.03)]
    seen = Meter([me], [], tmp_path).read()
    assert seen.split_known
    assert seen.python >= 0.03
    assert seen.conversion >= 0
    assert 0 < seen.threads.total() <= seen.total + 0.1


def test_a_clocked_function_does_what_it_did_and_says_what_it_took(tmp_path):
    conf = load("local")
    plain = in_python.run_loyalty(Traffic(300), conf)["loyalty-account"]
    function = Clocked(loyalty.ledger(conf), str(tmp_path), False)
    clocked = in_python.Stage("loyalty-account", function)
    traffic = Traffic(300)
    clocked.run(
        [
            (sale.customer_id or f"~{n % 720}", value)
            for n, (sale, value) in enumerate(zip(traffic.sales, traffic.sealed, strict=True))
        ]
    )
    assert clocked.states == plain.states
    ((_, seconds),) = cpu.clocks(tmp_path)
    assert 0 < seconds <= clocked.cpu_s


def test_threads_that_are_alike_are_added_up():
    alike = ("GC Thread#0", "G1 Conc#0", "C2 CompilerThre", "kafka-fetch (1/2)")
    assert [cpu.kind(name) for name in alike] == [
        "garbage collection", "garbage collection", "JIT compiler", "kafka-fetch",
    ]  # fmt: skip


def test_a_stack_is_told_from_the_outside_inwards():
    def inner() -> str:
        return collapsed(__import__("sys")._getframe())

    stack = inner().split(";")
    assert stack[-1].startswith("test_rig.test_a_stack_is_told_from_the_outside_inwards.<locals>")
    assert stack[-2].startswith("test_rig.test_a_stack")
    assert collapsed(None) == "(not in Python)"


def test_a_measurement_of_its_own_names_every_output_apart():
    plain, apart = names("bench"), names("bench", apart=True)
    read = {job: load("local", plain).of(catalog.job(job)).source.kafka.topic for job in STAGE}
    assert read.pop("intake") == "bench"
    assert set(read.values()) == {"bench-checked"}
    assert plain["kafka"]["topics"].keys() == {"transactions"}
    conf = load("local", apart)
    assert conf.topic(topics.TRANSACTIONS) == "bench-checked"
    others = [conf.topic(one) for one in topics.ALL] + [conf.table(one) for one in tables.HOT]
    others += [conf.prefix(one) for one in tables.HISTORIES]
    assert all(name.startswith("bench") for name in others)
    assert len(set(others)) == len(others)


def test_a_topic_is_filled_on_the_side_that_is_read(monkeypatch, tmp_path):
    sent: dict[str, list[tuple[str, bytes]]] = {}

    class Sender:
        def __init__(self, conf, side: str) -> None:
            self.send = lambda key, raw: sent.setdefault(side, []).append((key, raw))

        def close(self) -> int:
            return 0

    bench = Rig(Stack(tmp_path))
    monkeypatch.setattr(bench, "conf", lambda overrides: None)
    monkeypatch.setattr(bench, "sender", Sender)
    records = [(str(n), raw) for n, raw in enumerate(Traffic(3).raw)]
    assert bench.fill("bench", records) == 3
    assert sent == {RAW: records, CHECKED: [front_door.checked(raw) for _, raw in records]}
    sent.clear()
    bench.fill("bench", records, (rig.side("fraud"),))
    assert sent.keys() == {CHECKED}
    assert rig.side("intake") == RAW


def test_what_topics_are_filled_with_is_what_the_front_door_writes():
    traffic = Traffic(60)
    stage = in_python.Stage("intake-mark", intake.intake_once(load("local")))
    pairs = zip(traffic.sales, traffic.sent, strict=True)
    written = stage.run([(sale.transaction_id, value) for sale, value in pairs])
    counted = [sale for sale in traffic.sales if sale.kind != "void"]  # those go another way
    assert len(written) == len(counted) > 50
    for sale, raw in zip(counted, written, strict=True):
        key, filled = front_door.canonical(sale)
        origin = msgspec.json.decode(raw)["origin"]
        assert filled == raw.replace(origin.encode(), b"kafka:tills/0/0")
        assert key == msgspec.json.decode(raw)["key"]


def test_watching_leaves_out_the_warm_up_and_ends_before_the_drain(monkeypatch):
    done = iter([0, 10, 100, 300, 600, 950, 1000])
    rig = Rig.__new__(Rig)
    monkeypatch.setattr(rig, "done", lambda job, stage: next(done), raising=False)
    monkeypatch.setattr("benchmarks.rig.PAUSE_S", 0.0)
    clock = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    meter = SimpleNamespace(read=lambda: used(1.0))
    row = rig.watch(["job"], "stage", 1000, meter, warm_s=1e9)
    assert row["records"] == 300
    assert row["rate"] == 300


def test_spread_is_median_least_and_most():
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}


def test_the_guard_fails_a_job_that_takes_more_than_its_bound_of_what_it_took():
    costs = {"loyalty": ([10.0, 12.0, 30.0], [14.0, 15.0, 99.0]), "fraud": ([5.0], [4.0])}
    assert guard.verdict(costs, 1.5)[1] == []
    (line,) = guard.verdict(costs, 1.3)[1]
    assert line.startswith("loyalty takes 1.40 times")
    (line,) = guard.verdict({"loyalty": ([10.0], [])})[1]
    assert line.startswith("loyalty is gone")
    assert guard.verdict({"sales": ([], [10.0])}) == (
        ["sales 10.0 us, and was not there before"],
        [],
    )


def test_the_guards_sides_take_turns_on_every_job_either_has(monkeypatch):
    monkeypatch.setattr(guard, "ENOUGH_S", 0.0)
    asked: list[str] = []

    def side(name: str, *jobs: str) -> SimpleNamespace:
        return SimpleNamespace(jobs=list(jobs), cost_us=lambda job: asked.append(name) or 1.0)

    costs = guard.in_turns(side("before", "a", "b"), side("now", "a", "c"))
    assert asked[:4] == ["now", "before", "before", "now"]
    assert {job: tuple(map(len, of)) for job, of in costs.items()} == {
        "a": (3, 3), "b": (3, 0), "c": (0, 3),
    }  # fmt: skip


def test_without_git_history_the_guard_is_skipped_and_says_why(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(guard, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert guard.main([]) == 0
    assert "guard: skipped, for there is nothing to compare with: fatal" in capsys.readouterr().out


def test_a_clone_without_tags_and_the_named_commit_is_skipped(monkeypatch, capsys, tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setattr(guard, "ROOT", tmp_path)
    assert guard.main([]) == 0
    assert "this clone has no tag and is without commit" in capsys.readouterr().out


def test_the_functions_without_an_engine_keep_a_state_for_every_key():
    traffic, conf = Traffic(200), load("local")
    found = in_python.state_bytes(traffic, conf, "loyalty")
    customers = {sale.customer_id for sale in traffic.sales if sale.customer_id}
    assert found["loyalty-account"]["keys"] == len(customers)
    found |= in_python.state_bytes(traffic, conf, "intake")
    assert found["intake-mark"]["keys"] == traffic.count
    found |= in_python.state_bytes(traffic, conf, "inventory")
    shelves = {(sale.store, line.product) for sale in traffic.sales for line in sale.lines}
    assert found["stock"]["keys"] == len(shelves)
    assert all(size["bytes_a_key"] > 10 for size in found.values())
