"""What a failed verification says of a savepoint: nothing, where the cause is elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_cluster import FakeCluster
from tillstream import conf as settings
from tillstream.clients.wait import NotInTime
from tillstream.cluster import verify
from tillstream.cluster.manifest import FORMAT, Manifest
from tillstream.cluster.protocol import JobError
from tillstream.cluster.savepoints import Savepoints
from tillstream.errors import Unreachable
from tillstream.history import settle as history

NAMED = [("tillstream", "ledger/part-1.parquet")]


class Scratch:
    def __init__(self, home: str) -> None:
        self.is_down = False

    def up(self, taskmanagers: int) -> None: ...

    def down(self) -> None: ...


@pytest.fixture
def verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Verifies a savepoint that names a history file, in a scratch cluster that does nothing."""
    folder = tmp_path / "savepoint-1"
    folder.mkdir()
    (folder / "_metadata").write_bytes(b"")
    monkeypatch.setattr(verify, "Stack", Scratch)
    monkeypatch.setattr(verify, "_partitions", lambda stack, manifest: None)
    savepoints = Savepoints(FakeCluster(tmp_path), settings.load("local"))
    monkeypatch.setattr(savepoints, "files_named", lambda manifest: NAMED)
    manifest = Manifest("loyalty", "job-1", folder.as_uri(), 1, 1, 1, "1", "1", 1, {}, {})
    return lambda: verify.verify(manifest, savepoints, None, lambda line: None)


def test_an_s3_that_is_away_makes_no_savepoint_bad(verified, monkeypatch):
    def away(*_: Any) -> None:
        raise Unreachable("S3 does not answer")

    monkeypatch.setattr(history, "lacking", away)
    with pytest.raises(Unreachable):
        verified()


def test_a_savepoint_whose_history_is_gone_is_bad(verified, monkeypatch):
    monkeypatch.setattr(history, "lacking", lambda conf, named: (["ledger/part-1.parquet"], []))
    assert "1 history files that it names are gone" in verified().problem


def test_a_savepoint_that_no_job_restores_from_is_bad(verified, monkeypatch):
    def fails(*_: Any) -> None:
        raise JobError("cannot map state to the new program")

    monkeypatch.setattr(history, "lacking", lambda conf, named: ([], []))
    monkeypatch.setattr(verify, "_history", lambda *_: "")
    monkeypatch.setattr(verify, "_restore", fails)
    assert verified().problem == "cannot map state to the new program"


def test_a_savepoint_whose_restore_does_not_end_in_time_is_bad(verified, monkeypatch):
    def slow(*_: Any, **options: Any) -> str:
        assert options["accept_loss"]  # the scratch stack's Kafka is empty
        raise NotInTime("job loyalty does not run after 1800 s")

    monkeypatch.setattr(history, "lacking", lambda conf, named: ([], []))
    monkeypatch.setattr(verify, "_history", lambda *_: "")
    monkeypatch.setattr(verify, "LocalCluster", lambda stack: type("C", (), {"submit": slow})())
    assert verified().problem == "job loyalty does not run after 1800 s"


@pytest.mark.parametrize(("streams", "written", "kind"), [
    (["kafka:till-transactions"], FORMAT, "kafka"), (["kinesis:till-transactions"], FORMAT, "kinesis"),
    ([], FORMAT, "kinesis"), (["kinesis:till-transactions"], FORMAT - 1, "kafka"),
])  # fmt: skip
def test_the_scratch_job_reads_the_kind_of_stream_that_the_state_is_of(streams, written, kind):
    """The settings say Kinesis, the job was submitted with --conf source.kind=kafka."""
    places = {stream: {"0": "7"} for stream in streams}
    one = Manifest("intake", "i", "file:///s", 1, 1, 1, "1", "1", 1, {}, places, format=written)
    assert verify._read_from(one, settings.load("local")) == kind
