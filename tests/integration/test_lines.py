"""Jobs move from one line of Flink to the next by their savepoints: nothing is lost, nothing counts twice."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.stacks import with_free_ports
from tests.support.wait import wait_for
from tillstream import flink_line
from tillstream.catalog import topics
from tillstream.clients.kafka import watermarks
from tillstream.local.stack import Stack

LINES = list(flink_line.LINES)
JOBS = ("intake", "loyalty", "inventory", "fraud")
COUNT = 4_500
TILLS, MOVEMENTS = "records.jsonl", "movements.jsonl"
TRAFFIC = ("--to", "file", "--count", str(COUNT), "--seed", "1", "--stores", "4", "--products", "40",
           "--movements", "0.05")  # fmt: skip


def python(line: str) -> Path:
    """Of the environment that `bin/setup --flink LINE` makes."""
    folder = ".venv" if line == flink_line.FIRST.name else f".venv-{line}"
    return ROOT / folder / "bin" / "python"


MISSING = [line for line in LINES if not python(line).exists()]

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(2_400),
    pytest.mark.skipif(
        bool(MISSING), reason=f"needs `bin/setup --flink LINE` for {', '.join(MISSING)}"
    ),
]


class Lines:
    """One stack whose Flink changes its line; all by the command line of each."""

    def __init__(self, home: Path) -> None:
        self.home, self.truth = home, home / "truth"
        with_free_ports(home)

    def run(self, line: str, *arguments: str, timeout_s: float = 600) -> str:
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("VIRTUAL_ENV", "PYTHONPATH")
        }
        environment |= {
            "TILLSTREAM_HOME": str(self.home),
            "TILLSTREAM_FLINK": json.dumps({"execution.checkpointing.interval": "2 s"}),
            "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1",
            "TILLSTREAM_CONF": json.dumps({"source": {"kind": "kafka"}}),
        }
        done = subprocess.run(
            [python(line), "-m", "tillstream.cli", *arguments],
            env=environment, capture_output=True, text=True, timeout=timeout_s,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"on {line}: tillstream {' '.join(arguments)}\n{said[-4000:]}"
        return done.stdout

    def made(self) -> None:
        """All of the traffic as spool files, and its truth."""
        self.run(
            LINES[0], "sim", *TRAFFIC, "--truth", str(self.truth), "--out", str(self.home / TILLS)
        )
        (self.truth / MOVEMENTS).rename(self.home / MOVEMENTS)

    def send(self, line: str, part: int) -> None:
        """One of as many parts as there are lines of Flink."""
        for name in (MOVEMENTS, TILLS):
            whole = (self.home / name).read_bytes().splitlines(keepends=True)
            size = -(-len(whole) // len(LINES))
            cut = self.home / f"{part}-{name}"
            cut.write_bytes(b"".join(whole[part * size : (part + 1) * size]))
            self.run(line, "sim", "--to", "kafka", "--from-spool", str(cut))

    def passed_on(self) -> int:
        """How many transactions the front door has written by now."""
        conf = Stack(self.home).conf()
        marks = watermarks(conf, conf.topic(topics.TRANSACTIONS), conf.kafka.bootstrap)
        return sum(end for _, end in marks.values())

    def proved(self, line: str, *options: str) -> dict[str, Any]:
        said = self.run(
            line, "check", "--truth", str(self.truth), "--wait", "200", "--json", *options
        )
        found: dict[str, Any] = json.loads(said[said.index("{") :])
        return found


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Lines]:
    made = Lines(tmp_path)
    try:
        yield made
    finally:
        made.run(LINES[0], "down")


def test_savepoints_go_on_from_each_line_to_the_next(lines: Lines):
    lines.run(LINES[0], "up", "--taskmanagers", str(len(JOBS)), timeout_s=1_200)
    lines.made()
    for part, line in enumerate(LINES):
        lines.run(line, "up", "--taskmanagers", str(len(JOBS)), timeout_s=1_200)
        for job in JOBS:
            how = ("restore", job, "--from", "latest-savepoint") if part else ("submit", job)
            lines.run(line, "job", *how, "--parallelism", "1")
        lines.send(line, part)
        least = COUNT // len(LINES) * (part + 0.9)
        wait_for(lines.passed_on, 180, f"traffic on {line}", lambda n, least=least: n > least)
        if line != LINES[-1]:
            for job in reversed(JOBS):
                lines.run(line, "job", "stop", job)
            lines.run(line, "down")
    points = lines.proved(LINES[-1], "--no-archive")
    assert points["ok"], points
    assert lines.proved(LINES[-1], "--stock")["ok"]
