"""What is found wrong after a run, on values alone."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from types import SimpleNamespace

import pyarrow as pa
import pytest
from botocore.exceptions import EndpointConnectionError

from tillstream import conf as settings
from tillstream import reference
from tillstream.chaos import invariants
from tillstream.chaos.plan import Fault
from tillstream.chaos.watch import Fallbacks, Watch
from tillstream.check.report import Difference, Report
from tillstream.cluster.protocol import SourceFigures
from tillstream.conf import load
from tillstream.domain.fraud.sale import made_of
from tillstream.domain.receipt.front_door import of_contract
from tillstream.domain.receipt.parse import parse
from tillstream.sim.simulator import Simulator


def test_a_hot_item_that_falls_back_is_named_even_if_it_ends_right():
    seen = Fallbacks()
    for versions in ({"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 5}):
        seen.look(versions.items())
    found = invariants.fallbacks(seen, looks=3)
    assert found.wrong == ["b fell back from version 4 to 3"]
    assert found.note == "2 items in 3 looks"


def test_hot_items_that_nobody_could_look_at_are_no_proof():
    assert invariants.fallbacks(Fallbacks(), looks=0).wrong == [
        "no look at the hot items succeeded"
    ]
    ended = invariants.fallbacks(Fallbacks(), looks=4, problem="KeyError: 'version'")
    assert ended.wrong == ["looking ended: KeyError: 'version'"]


@pytest.mark.parametrize(
    ("error", "problem"),
    [(EndpointConnectionError(endpoint_url="x"), ""), (KeyError("version"), "KeyError: 'version'")],
)
def test_a_look_that_fails_is_none_and_what_ends_the_looking_is_known(monkeypatch, error, problem):
    def scan(*_: object) -> None:
        watch._stop.set()
        raise error

    rig = SimpleNamespace(conf=settings.load(), plan=SimpleNamespace(jobs=("loyalty",)))
    watch = Watch(rig)
    monkeypatch.setattr("tillstream.chaos.watch.EVERY_S", 0)
    monkeypatch.setattr("tillstream.chaos.watch._versions", scan)
    monkeypatch.setattr(watch, "_weigh", lambda: None)
    watch._run()
    assert (watch.looks, watch.problem) == (0, problem)


def test_a_job_has_read_all_once_nothing_waits_and_nothing_more_comes():
    def shown(read: int, waiting: int | None) -> SourceFigures:
        return SourceFigures("RUNNING", read, waiting, None)

    looks = [shown(10, 5), *[shown(10, 5)] * invariants.STEADY, shown(15, None), shown(16, 0)]
    left = iter([*looks, *[shown(16, 0)] * (invariants.STEADY - 1), "one look too many"])
    invariants.wait_until_read(lambda: next(left), sleep=lambda seconds: None)
    assert list(left) == ["one look too many"]


@pytest.mark.parametrize(
    ("jobs", "faults", "order"),
    [
        (("sales",), [], "sent"),
        (("loyalty", "sales"), [Fault(9, "rescale", "loyalty", 0, 2)], "sent"),
        (("archive",), [Fault(9, "rescale", "intake", 0, 2)], "ledger"),
    ],
)
def test_each_record_is_an_output_or_a_dead_letter_of_the_front_door_whatever_runs(
    monkeypatch, tmp_path, jobs, faults, order
):
    asked = []

    def check(truth, conf, order, **parts) -> Report:
        asked.append((order, parts["loyalty"], parts["archive"], parts.get("dead_letters", True)))
        return Report()

    monkeypatch.setattr(invariants, "check", check)
    plan = SimpleNamespace(jobs=jobs, keeps_order=True, faults=faults)
    rig = SimpleNamespace(conf=None, plan=plan, spooled=False, sent=lambda: tmp_path,
                          wait_until_well=lambda _: "", dead=list, failures=lambda _: [])  # fmt: skip
    _, found = islice(invariants.judge(rig, SimpleNamespace(failed=[]), None), 2)
    assert found.wrong == []
    assert asked == [(order, "loyalty" in jobs, "archive" in jobs, True)]


def test_a_sales_job_is_drained_once_the_front_door_has_read_all_and_it_too(monkeypatch, tmp_path):
    (tmp_path / "sent.jsonl").write_text("")
    done: list[str] = []
    runs = SimpleNamespace(
        running=lambda job: SimpleNamespace(job_id=f"run of {job}"),
        figures=lambda run: done.append(run) or SourceFigures("RUNNING", 5, 0, None),
        stop=lambda job, drain: done.append(f"drained {job}"),
    )
    wait = invariants.wait_until_read
    monkeypatch.setattr(invariants, "wait_until_read", lambda of: wait(of, lambda _: None))
    compared = lambda *_, **__: done.append("compared") or Report(sent=5)  # noqa: E731
    monkeypatch.setattr(invariants, "check_sales", compared)
    assert invariants._sales(SimpleNamespace(jobs=runs, conf=load("local")), tmp_path).wrong == []
    assert list(dict.fromkeys(done)) == [
        "run of intake", "run of sales", "drained sales", "compared",
    ]  # fmt: skip


class Rows:
    """A platform with these lines of shelves."""

    def __init__(self, *lines: tuple[str, int]) -> None:
        self.lines = lines

    def parquet(self, *_: object) -> pa.Table:
        return pa.table(
            {"shelf": [s for s, _ in self.lines], "version": [v for _, v in self.lines]}
        )


@pytest.mark.parametrize(
    ("jobs", "lines", "wrong"),
    [
        (("inventory", "shortage"), [], ["no shelf has a line"]),
        (("inventory", "shortage"), [("1/a", 1), ("1/a", 2)], []),
        (("inventory", "shortage"), [("1/a", 1), ("1/a", 1)], ["('1/a', 1): 2 times"]),
        (("loyalty", "shortage"), [], []),  # without stock levels no shelf runs out so soon
    ],
)
def test_lines_of_shelves_must_be_there_where_levels_are(monkeypatch, jobs, lines, wrong):
    monkeypatch.setattr(invariants, "EQUAL_S", 0)
    monkeypatch.setattr(invariants, "Platform", lambda conf: Rows(*lines))
    rig = SimpleNamespace(conf=None, plan=SimpleNamespace(jobs=jobs))
    assert invariants._shortage(rig, sold=True).wrong == wrong


def test_a_difference_of_the_check_is_wrong_and_so_is_a_total():
    good = Report(totals={"entries": (5, 5)}, sent=5)
    assert invariants._compared("equal", good) == ("equal", [], "5 records sent; 5 entries")
    bad = Report(
        totals={"entries": (5, 4)}, count=12, differences=[Difference("hot", "C1", "stale")]
    )
    assert invariants._compared("equal", bad).wrong == [
        "hot: C1: stale", "entries: 4, must be 5", "12 differences in all",
    ]  # fmt: skip


def test_what_is_there_twice_is_named():
    assert invariants.more_than_once(Counter("aab")) == ["a: 2 times"]
    assert invariants.more_often(Counter("aabbbc"), Counter("aabb")) == ["b: 3 times"]


def test_memory_is_judged_in_long_runs_and_only_of_processes_that_lived_on():
    grown = {"kafka": [(1, 100), (1, 110), (1, 150)], "s3": [(1, 100), (1, 110), (2, 150)]}
    assert invariants.memory(grown, 300).wrong == []
    long = invariants.memory(grown, invariants.JUDGED_FROM_S)
    assert long.wrong == ["kafka grew from 110 to 150 MiB"]
    assert "s3 100 to 150 MiB" in long.note


@pytest.mark.parametrize(
    ("record", "judged"),
    [
        ({"kind": "sale", "schema": 1}, 1),
        ({"kind": "refund", "schema": 1}, 0),
        ({"kind": "retail", "schema": 2, "total": 100, "lines": []}, 1),
        ({"kind": "retail", "schema": 2, "total": -100, "lines": []}, 0),
        ({"kind": "retail", "schema": 2, "total": 0, "lines": [{"kind": "return"}]}, 0),
        ({"kind": "retail", "schema": 2, "total": 0, "lines": [{"kind": "sale"}]}, 1),
        ({"kind": "void", "schema": 2, "total": 100, "lines": []}, 0),
        ({"kind": "retail", "schema": 2, "total": 100, "lines": [], "training": True}, 0),
    ],
)
def test_of_both_contracts_those_count_as_sales_that_somebody_paid(tmp_path, record, judged):
    sent = [
        {"record": record | {"transaction_id": "T1"}},
        {"record": None},
        {"record": {"kind": "x"}},
    ]
    (tmp_path / "sent.jsonl").write_text("\n".join(map(json.dumps, sent)))
    assert invariants._sales_sent(tmp_path)["T1"] == judged


def test_of_what_tills_send_those_are_sales_that_the_job_takes_for_some():
    stores = reference.known_stores(load("local"))
    seen = set()
    for one in Simulator("normal", 7, count=8_000, contract="v2"):
        record, receipt = one.record, parse(one.raw)
        if receipt.training:
            continue  # no job sees it
        sale = made_of(of_contract(receipt, stores.of(receipt.store), "pos/2"))
        assert invariants._is_sale(record or {}) == (sale.kind == "sale"), record
        seen.add(sale.kind)
    assert seen == {"sale", "refund", "void"}
