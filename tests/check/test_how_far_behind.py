"""What a person is told before differences that mean nothing: how far the jobs are behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tillstream.check import commands
from tillstream.check.report import Report
from tillstream.cli import main
from tillstream.cluster.protocol import JobRun, SourceFigures
from tillstream.errors import Unreachable

BEHIND = SourceFigures("RUNNING", 2_000_000, 812_345, 3_600_000)
# The age of what was read last stays where it was while nothing comes.
DONE = SourceFigures("RUNNING", 2_812_345, 0, 3_600_000)


class Jobs:
    """A cluster whose figures are what is given, one after the other, the last for ever."""

    def __init__(self, **figures: list[SourceFigures]) -> None:
        self.of = figures

    def running(self, name: str) -> JobRun | None:
        return JobRun(name, name, "RUNNING", 0) if name in self.of else None

    def figures(self, name: str) -> SourceFigures:
        return self.of[name].pop(0) if len(self.of[name]) > 1 else self.of[name][0]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """What `check --stock` prints, where the cluster is that one and a level differs or not."""
    monkeypatch.setenv("TILLSTREAM_ENV", "local")
    monkeypatch.setattr(commands, "POLL_SECONDS", 0.0)

    def run(cluster: Any, *args: str, differs: bool = True) -> Any:
        def compared(*_: Any, **said: Any) -> Report:
            report = Report()
            if differs:
                report.differ("ledger", "45", "no entry")
            return report

        def opened(conf: Any) -> Any:
            if isinstance(cluster, Exception):
                raise cluster
            return cluster

        monkeypatch.setattr(commands, "check_stock", compared)
        monkeypatch.setattr(commands, "open_cluster", opened)
        return CliRunner().invoke(main, ["check", "--truth", str(tmp_path), "--stock", *args])

    return run


def test_a_job_that_has_not_read_all_is_told_before_the_differences_and_after(check):
    done = check(Jobs(intake=[DONE], inventory=[BEHIND]))
    line = "inventory is behind (812,345 records wait; 2,000,000 read): differences mean nothing"
    assert done.stderr.startswith(line)
    assert " ".join(done.stdout.split()).count(line) == 1
    assert done.exit_code == 1
    (told,) = json.loads(check(Jobs(inventory=[BEHIND]), "--json").stdout)["behind"]
    assert told.startswith("inventory is behind")


def test_the_front_door_is_looked_at_too_by_time_where_its_stream_does_not_count(check):
    found = check(Jobs(intake=[SourceFigures("RUNNING", 7, None, 90_000)], inventory=[DONE]))
    assert found.stderr.startswith("intake is behind (by 90 s; 7 read)")


def test_where_the_first_look_finds_no_figures_there_is_a_second(check):
    unknown = SourceFigures("RUNNING", 7, None, None)
    assert "inventory is behind" in check(Jobs(inventory=[unknown, BEHIND])).stderr


def test_who_waits_waits_until_all_is_read_and_is_told_nothing(check):
    done = check(Jobs(inventory=[BEHIND, BEHIND, DONE]), "--wait", "5", differs=False)
    assert (done.exit_code, "behind" in done.output) == (0, False)


@pytest.mark.parametrize("cluster", [
    Jobs(), Jobs(intake=[DONE], inventory=[DONE]), Unreachable("no cluster"),
    Jobs(inventory=[SourceFigures("RUNNING", 7, None, None)]),
])  # fmt: skip
def test_where_all_is_read_or_nothing_is_known_nothing_is_said(check, cluster):
    done = check(cluster)
    assert done.exit_code == 1
    assert "behind" not in done.output
