"""The lists of every command on a terminal of 80 columns: whole names, states, reasons and ids."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from rich.console import Console

from tillstream.check.commands import show as show_report
from tillstream.check.report import Report
from tillstream.cli import main, tables
from tillstream.cluster import job_commands, savepoint_commands
from tillstream.cluster.manifest import Manifest, Verified
from tillstream.cluster.protocol import JobRun
from tillstream.dead_letters import read as dlq_read
from tillstream.dead_letters.model import Failure, Marker, Sighting
from tillstream.domain.notice import notice
from tillstream.fraud import commands as fraud_commands
from tillstream.history import commands as history_commands
from tillstream.history.files import File
from tillstream.local import commands as local_commands
from tillstream.local.stack import ProcessStatus
from tillstream.notify import commands as notify_commands
from tillstream.notify.log import Logged

T = 1_795_507_200_000
ID = "54fc6979afd5a93938ce3c8883f922b5"
PLACE = "s3://a-grocers-savepoints/production/promotions/savepoint-54fc69-21235e4949a6"
WHEN = "2026-11-24 08:00:00Z"


@pytest.fixture
def said(monkeypatch):
    """What a command prints on such a terminal; no line of several words is longer."""

    def terminal(stderr: bool = False) -> Console:
        return Console(width=80, stderr=stderr, highlight=False)

    monkeypatch.setattr(tables, "console", terminal)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        for line in done.output.splitlines():
            assert len(line) <= 80 or len(line.split()) <= 2, line
        return done.output

    return run


class FakeFlink:
    def __init__(self, _: str = "") -> None:
        pass

    def jobs(self):
        return [
            {"name": name, "jid": ID, "state": state, "start-time": T,
             "tasks": {"running": 3, "total": 12}}
            for name, state in (("promotions", "RESTARTING"), ("inventory", "CANCELLING"))
        ]  # fmt: skip

    def exceptions(self, _: str):
        return ["trace"] * 10

    def checkpoints(self, _: str):
        latest = {"completed": {"latest_ack_timestamp": T, "state_size": 4_400_000_000}}
        return {"latest": latest, "counts": {"completed": 12_345}}


def test_status(said, monkeypatch):
    problem = "runs, but does not serve: Failed to get metadata: Local: Broker transport failure"
    stack = SimpleNamespace(
        status=lambda: [
            ProcessStatus("taskmanager-16", 1234567, "", 1400, True, ""),
            ProcessStatus("kafka", 1234568, "127.0.0.1:9092", 400, not problem, problem),
            ProcessStatus("kinesis", 1234569, "http://127.0.0.1:4567", 90, True, ""),
        ],
        disk_problem=lambda: "",
        layout=SimpleNamespace(read=lambda: {"flink": {"rest": "http://127.0.0.1:8081"}}),
    )
    monkeypatch.setattr(local_commands, "Stack", lambda: stack)
    monkeypatch.setattr(local_commands, "FlinkRest", FakeFlink)
    monkeypatch.setattr(local_commands.sys, "exit", lambda code: None)
    text = said("status")
    assert "taskmanager-16" in text
    assert "http://127.0.0.1:4567" in text
    assert set(problem.split()) <= set(text.split())
    assert {"promotions", "RESTARTING", "CANCELLING", "3 of 12", ID, "12345"} <= words(text)
    assert "4.4 GB" in text


def words(text: str) -> set[str]:
    """Words, and runs of three of them."""
    single = text.split()
    return {*single, *(" ".join(single[n : n + 3]) for n in range(len(single)))}


def test_job_list(said, monkeypatch):
    runs = [
        JobRun(ID, name, state, T, 1)
        for name, state in (("promotions", "RESTARTING"), ("inventory", "CANCELLING"))
    ]
    cluster = SimpleNamespace(
        runs=lambda: runs, exceptions=lambda _: ["trace"] * 10,
        submitted=lambda: ["promotions"], locate=lambda *_: PLACE,
    )  # fmt: skip
    monkeypatch.setattr(job_commands, "open_cluster", lambda _: cluster)
    assert {"promotions", "RESTARTING", "CANCELLING", ID, "10", PLACE} <= words(said("job", "list"))


def test_savepoint_list(said, monkeypatch):
    problem = "state of operator loyalty-ledger cannot be mapped to any operator of the job"
    kept = [
        Manifest("promotions", ID, PLACE, T, T, 4_400_000_000, "0.1.0+27474643c5d4", "1.20.5", 2,
                 {}, {}, verified=verified)
        for verified in (Verified(T, "0.1.0", problem), Verified(T, "0.1.0", restore_s=41.0), None)
    ]  # fmt: skip
    savepoints = SimpleNamespace(kept=lambda _: kept, without_manifest=lambda _: [])
    monkeypatch.setattr(savepoint_commands, "open_savepoints", lambda job=None: savepoints)
    text = said("savepoint", "list")
    assert {"promotions", "0.1.0+27474643c5d4", PLACE, "BAD:", *problem.split()} <= words(text)
    assert "4.4 GB" in text
    assert text.count(PLACE) == 3


def test_dlq_list(said, monkeypatch):
    origin = "kinesis:till-transactions/shardId-000000000003/4965432109876543210987654321098765432"
    seen = [
        Sighting(origin, b"{}", 1_040, Failure(job, "validate", reason, "", 1, T))
        for job, reason in (("loyalty", "unknown_version"), ("archive", "beyond_horizon"))
    ]
    mark = Marker(origin, T, "thandi", None)
    monkeypatch.setattr(dlq_read, "from_kafka", lambda *_, **__: [*seen, mark])
    text = said("dlq", "list", "--all")
    assert {"unknown_version", "beyond_horizon,", "archive,", "loyalty", "1,040", origin} <= words(
        text
    )
    assert text.count(WHEN) == 2


def test_fraud_cases(said, monkeypatch):
    case = {
        "transaction_id": "0045-03-20261124-000123", "outcome": "review", "score": 87.4,
        "event_time_ms": T, "store": 2900, "total_cents": 12_499_00, "currency": "ZAR",
        "reasons": "amount_far_above_usual,impossible_journey,gift_cards_burst",
    }  # fmt: skip
    monkeypatch.setattr(fraud_commands, "Cases", lambda _: SimpleNamespace(open=lambda _: [case]))
    text = said("fraud", "cases")
    assert {"0045-03-20261124-000123", "review", "87.4", "2900"} <= words(text)
    assert {"amount_far_above_usual,", "impossible_journey,", "gift_cards_burst"} <= words(text)
    assert "12,499.00 ZAR" in text
    assert WHEN in text


def test_notify_list(said, monkeypatch):
    one = notice(
        "sms", "customer:C0000000001", "redemption_refused", "0045-03-20261124-000123", T, {}
    )
    why = "An error occurred (InvalidParameter) when calling the Publish operation: not E.164"
    logged = Logged(one.notice_id, "uncertain", one, T, why, "")
    monkeypatch.setattr(
        notify_commands, "SentLog", lambda _: SimpleNamespace(open=lambda: [logged])
    )
    text = said("notify", "list")
    assert {one.notice_id, "uncertain", "sms", *why.split()} <= words(text)
    assert WHEN in text


def test_history_list(said, monkeypatch):
    monkeypatch.setattr(history_commands, "open_bucket", lambda _: None)
    files = [File("ledger/compacted-1", T, 4_400_000_000), File("ledger/b", T, 5_100)]
    monkeypatch.setattr(history_commands, "finished", lambda *_: files)
    text = said("history", "list")
    assert {"fraud_audit", "sales_minutes", "dead_letters", "stock_ledger"} <= words(text)
    assert "s3://tillstream/archive/transactions" in text
    assert WHEN in text


def test_check(capsys):
    report = Report(totals={"sum of balances (ledger)": (1_204_120, 1_204_119)}, sent=4_000)
    report.differ("hot table", "C0000000001", "balance 7 at version 2, must be 9 at 3 (stale)")
    report.others["repeats of other jobs' notices"] = 578
    show_report(report, Console(width=80))
    text = capsys.readouterr().out
    assert "sum of balances (ledger)   1,204,120  1,204,119  DIFFERS" in text
    assert "hot table: C0000000001: balance 7 at version 2, must be 9 at 3 (stale)" in text
    assert "not compared: 578 repeats of other jobs' notices" in text
