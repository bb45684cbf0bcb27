"""Which source a replay submits in each phase, and whose positions it keeps or leaves behind."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.support.fake_cluster import FakeCluster
from tillstream import catalog
from tillstream.cluster.manifest import Manifest
from tillstream.cluster.protocol import NotReady
from tillstream.conf import load
from tillstream.history import settle as history
from tillstream.replay import backfill, checks, stream_reach
from tillstream.replay.backfill import BackfillError
from tillstream.replay.commands import _begun
from tillstream.replay.coverage import beyond
from tillstream.replay.phases import Live, Reading, ReplayError
from tillstream.replay.replay import Replay
from tillstream.replay.stream_reach import Gap, Reach
from tillstream.replay.watch import Progress

T0 = 1_764_000_000_000
TOPIC = "transactions"


@pytest.fixture
def replay(tmp_path, monkeypatch):
    conf = load("local", {"kafka": {"bootstrap": "h:1"}}).of(catalog.job("loyalty"))
    one = Replay(Forgetful(tmp_path), conf, lambda line: None)
    monkeypatch.setattr(history, "s3_now_ms", lambda _: T0)
    monkeypatch.setattr("tillstream.replay.replay.time.sleep", lambda _: None)
    monkeypatch.setattr(one.savepoints, "files_named", lambda _: [])
    monkeypatch.setattr(one.savepoints, "stop", lambda job: savepoint("file:///next"))
    monkeypatch.setattr(one.archive, "fill", lambda topic, gap, taken: 7)
    monkeypatch.setattr(one.archive, "drop_topics", lambda prefix: None)
    monkeypatch.setattr(stream_reach, "committed", lambda *_: {0: 500, 1: 500})
    lacks(monkeypatch)
    return one


def lacks(monkeypatch, **offsets: tuple[int, int]) -> None:
    """The archive accounts for all but these runs of offsets."""
    missing = {int(name[1:]): [run] for name, run in offsets.items()}

    class Seen:
        def missing(self):
            return missing

    monkeypatch.setattr(backfill, "survey", lambda *_: Seen())


class Forgetful(FakeCluster):
    """None of its jobs goes on running."""

    def running(self, name_or_id):
        return None


def asked(replay) -> list[dict[str, Any]]:
    """What was submitted."""
    keys = ("source", "from", "drops", "p")
    return [{key: one[key] for key in keys} for one in replay.cluster.submitted_as]


def to_the_next(replay, phase):
    """The job has read all of the archive's topic."""
    return replay.start(replay._leave(phase))


def savepoint(where: str = "file:///s", until_ms: int | None = None) -> Manifest:
    places = {f"kafka:{TOPIC}": {"0": "100", "1": "20"}}
    return Manifest("loyalty", "id", where, T0, T0, 1, "1", "1", 2, {}, places, until_ms=until_ms)


def holds(monkeypatch, **lows: int) -> None:
    held = Reach(kafka={int(n[1:]): (low, 1_000) for n, low in lows.items()})
    monkeypatch.setattr(stream_reach, "reach", lambda _: held)


def test_while_the_stream_holds_all_nothing_about_the_source_changes(replay, monkeypatch):
    holds(monkeypatch, p0=0, p1=0)
    replay.begin("loyalty", savepoint(), {})
    (only,) = asked(replay)
    assert only == {"source": {}, "from": "file:///s", "drops": False, "p": 2}


def test_sums_are_not_replayed_for_they_would_count_twice(replay, monkeypatch):
    holds(monkeypatch, p0=0, p1=0)
    with pytest.raises(ReplayError, match="job restore sales"):
        replay.begin("sales", savepoint(), {})
    assert not asked(replay)


def test_a_replay_needs_the_other_topics_too_for_no_archive_has_them(replay, monkeypatch):
    holds(monkeypatch, p0=0, p1=0)
    found = savepoint()
    found.positions["kafka:stock-movements"] = {"0": "40"}
    kept = {0: (41, 90), 1: (0, 7)}
    monkeypatch.setattr(stream_reach, "watermarks", lambda *_: kept)
    with pytest.raises(ReplayError, match=r"stock-movements begins at 41, .* kept nowhere"):
        replay.begin("inventory", found, {})
    replay.begin("inventory", found, {}, accept_loss=True)
    kept[0] = (40, 90)
    replay.begin("inventory", found, {})
    assert [one["from"] for one in asked(replay)] == ["file:///s"] * 2


def test_through_the_archive_and_on_from_exactly_where_it_ends(replay, monkeypatch):
    holds(monkeypatch, p0=150, p1=0)
    plan = replay.begin("loyalty", savepoint(), {})
    to_the_next(replay, plan)
    archived, live = asked(replay)
    assert archived["source"]["uid"] == f"{TOPIC}-{archived['source']['kafka']['topic']}"
    assert archived["drops"]
    assert live["source"] == {"kafka": {"offsets": {"0": 150, "1": 20}}}
    assert (live["from"], live["drops"]) == ("file:///next", True)


def test_what_the_stream_lets_go_of_meanwhile_comes_out_of_the_archive_too(replay, monkeypatch):
    holds(monkeypatch, p0=150, p1=0)
    plan = replay.begin("loyalty", savepoint(), {})
    holds(monkeypatch, p0=180, p1=0)
    plan = to_the_next(replay, plan)
    assert isinstance(plan, Reading)
    assert plan.gap == Gap({0: (150, 180)})
    to_the_next(replay, plan)
    first, second, live = asked(replay)
    assert first["source"]["uid"] != second["source"]["uid"]
    assert live["source"] == {"kafka": {"offsets": {"0": 180, "1": 20}}}


def test_nothing_begins_when_records_are_kept_nowhere(replay, monkeypatch):
    holds(monkeypatch, p0=600, p1=0)
    lacks(monkeypatch, p0=(500, 520))
    with pytest.raises(BackfillError, match=r"20 of the 500 offsets .*\(500 to 519\)"):
        replay.begin("loyalty", savepoint(), {})
    assert asked(replay) == []


def test_an_accepted_loss_leaves_out_what_is_lost_and_no_more(replay, monkeypatch):
    holds(monkeypatch, p0=600, p1=0)
    lacks(monkeypatch, p0=(500, 520))
    plan = replay.begin("loyalty", savepoint(), {}, accept_loss=True)
    assert plan.gap == Gap({0: (100, 600)})
    assert asked(replay)[0]["source"]["kafka"]["topic"] == plan.topic
    to_the_next(replay, plan)
    assert asked(replay)[1]["source"] == {"kafka": {"offsets": {"0": 600, "1": 20}}}
    assert [one["accepts"] for one in replay.cluster.submitted_as] == [True, True]


def test_a_loss_that_grew_since_it_was_accepted_is_not_accepted():
    assert beyond({0: [(5, 9)], 1: [(1, 2)]}, {0: [(5, 9)], 1: [(0, 7)]}) == {}
    assert beyond({0: [(4, 9), (20, 22)]}, {0: [(5, 7), (8, 9)]}) == {0: [(4, 5), (7, 8), (20, 22)]}


def test_a_topic_that_was_created_again_is_told_and_not_filled_with_other_records(
    replay, monkeypatch
):
    holds(monkeypatch, p0=0, p1=0)
    found = savepoint()
    found.positions[f"kafka:{TOPIC}"]["1"] = "5000"
    with pytest.raises(ReplayError, match=r"partition 1 .* deleted and created again"):
        replay.begin("loyalty", found, {})
    replay.begin("loyalty", found, {}, accept_loss=True)
    assert replay.cluster.submitted_as[-1]["accepts"]


def test_a_partition_that_is_trimmed_while_another_is_read_from_the_archive_is_seen(
    replay, monkeypatch
):
    holds(monkeypatch, p0=150, p1=0)
    plan = replay.begin("loyalty", savepoint(), {})
    holds(monkeypatch, p0=150, p1=60)
    plan = to_the_next(replay, plan)
    assert plan.gap == Gap({1: (20, 60)})
    to_the_next(replay, plan)
    assert asked(replay)[-1]["source"] == {"kafka": {"offsets": {"0": 150, "1": 60}}}


def test_a_savepoint_of_another_source_has_no_position_to_go_on_at(replay, monkeypatch):
    holds(monkeypatch, p0=0, p1=0)
    found = savepoint()
    found.positions = {"kafka:another": {"0": "4"}}
    monkeypatch.setattr(stream_reach, "watermarks", lambda *_: {0: (0, 9)})
    with pytest.raises(ReplayError, match="no position in transactions"):
        replay.begin("loyalty", found, {})


def test_a_savepoint_of_a_release_whose_jobs_read_the_tills_goes_on_where_the_topic_begins(
    replay, monkeypatch
):
    """Its source's position is in it and belongs to no source of today."""
    found = savepoint()
    found.positions = {"kafka:till-transactions": {"0": "40"}}
    monkeypatch.setattr(stream_reach, "watermarks", lambda *_: {0: (41, 90)})
    holds(monkeypatch, p0=0, p1=0)
    replay.begin("loyalty", found, {}, accept_loss=True)
    holds(monkeypatch, p0=30, p1=0)
    plan = replay.begin("loyalty", found, {}, accept_loss=True)
    assert plan.gap == Gap({0: (0, 30)})
    assert [one["drops"] for one in asked(replay)] == [True, True]
    assert "kafka" not in asked(replay)[0]["source"]


def test_a_savepoint_of_a_history_that_was_replaced_is_not_gone_back_to(replay, monkeypatch):
    holds(monkeypatch, p0=0, p1=0)
    found = savepoint()
    found.superseded_by = "R1"
    with pytest.raises(ReplayError, match="replaced by replay R1"):
        replay.begin("loyalty", found, {})


def test_where_a_state_ends_that_left_out_what_came_later_must_be_in_the_stream(
    replay, monkeypatch
):
    holds(monkeypatch, p0=40, p1=0)
    monkeypatch.setattr(stream_reach, "offsets_at", lambda conf, at: {0: 40, 1: -1})
    monkeypatch.setattr(stream_reach, "watermarks", lambda *_: {0: (40, 90), 1: (30, 30)})
    with pytest.raises(ReplayError, match=r"partition 0 .* cannot be counted"):
        replay.begin("loyalty", savepoint(until_ms=T0 + 5), {})


def test_a_kinesis_savepoint_counts_by_what_it_has_read_not_by_when_it_was_taken(
    replay, monkeypatch
):
    conf = load("local", {"source": {"kind": "kinesis"}, "kafka": {"bootstrap": "h:1"}})
    replay.conf = replay.archive.conf = conf
    monkeypatch.setattr(stream_reach, "reach", lambda _: Reach(oldest_ms=T0 - 1))
    name = f"kinesis:{conf.source.kinesis.stream}"
    found = savepoint()
    found.positions = {name: {"shard-0": "7"}}
    monkeypatch.setattr(checks, "kinesis_losses", lambda *_: ["gone"])
    with pytest.raises(ReplayError, match="cannot be shown"):  # an earlier release's manifest
        replay.begin("intake", found, {})
    monkeypatch.setattr(checks, "kinesis_losses", lambda *_: [])
    assert isinstance(replay.begin("intake", found, {}), Live)
    found.read_to_ms = {name: {"shard-0": T0 + 500_000}}
    assert isinstance(replay.begin("intake", found, {}), Live)
    found.read_to_ms = {name: {"shard-0": T0 - 500_000}}
    with pytest.raises(BackfillError, match="intake reads what tills send"):
        replay.begin("intake", found, {})


def test_a_job_that_goes_on_in_kinesis_without_what_is_gone_takes_leave_of_its_position(
    replay, monkeypatch
):
    conf = load("local", {"source": {"kind": "kinesis"}, "kafka": {"bootstrap": "h:1"}})
    replay.conf = replay.archive.conf = conf
    monkeypatch.setattr(stream_reach, "reach", lambda _: Reach(oldest_ms=T0))
    found = savepoint()
    found.positions = {f"kinesis:{conf.source.kinesis.stream}": {"shard-0": "7"}}
    found.read_to_ms = {f"kinesis:{conf.source.kinesis.stream}": {"shard-0": T0 - 500_000}}
    plan = replay.begin("intake", found, {}, accept_loss=True)
    assert plan.gap == Gap()
    to_the_next(replay, plan)
    empty, live = asked(replay)
    assert (empty["source"]["kind"], empty["drops"]) == ("kafka", True)
    assert live["source"] == {"kinesis": {"start": "TRIM_HORIZON"}}


@pytest.mark.parametrize(
    ("job", "why"),
    [
        ("archive", "the archive job is where it would be: --accept-loss"),
        ("intake", "intake reads what tills send, which nothing archives: --accept-loss"),
    ],
)
def test_a_gap_that_no_archive_can_fill_is_told_with_what_to_do(replay, monkeypatch, job, why):
    replay.conf = replay.archive.conf = load(
        "local", {"source": {"kind": "kafka"}, "kafka": {"bootstrap": "h:1"}}
    ).of(catalog.job(job))
    found = savepoint()
    found.positions = {f"kafka:{replay.conf.source.kafka.topic}": {"0": "100", "1": "20"}}
    holds(monkeypatch, p0=150, p1=0)
    with pytest.raises(BackfillError, match=why):
        replay.begin(job, found, {})
    assert isinstance(replay.begin(job, found, {}, accept_loss=True), Live)
    (only,) = replay.cluster.submitted_as
    assert (only["source"], only["drops"], only["accepts"]) == ({}, False, True)


def test_up_to_a_moment_keeps_positions_that_nobody_mistakes_for_the_streams(replay, monkeypatch):
    holds(monkeypatch, p0=0, p1=0)
    replay.begin("loyalty", savepoint(), {}, until_ms=T0 + 5)
    (only,) = asked(replay)
    assert only["source"]["until_ms"] == T0 + 5
    assert only["source"]["uid"].startswith(f"{TOPIC}-until-")
    assert only["source"]["kafka"] == {"offsets": {"0": 100, "1": 20}}
    assert only["drops"]


def test_from_a_savepoint_up_to_a_moment_the_stream_begins_at_that_moment(replay, monkeypatch):
    holds(monkeypatch, p0=0, p1=0)
    monkeypatch.setattr(stream_reach, "offsets_at", lambda conf, at: {0: 40, 1: -1})
    monkeypatch.setattr(stream_reach, "watermarks", lambda *_: {0: (0, 90), 1: (0, 30)})
    replay.begin("loyalty", savepoint(until_ms=T0 + 5), {})
    (only,) = asked(replay)
    assert only["source"] == {"start_ms": T0 + 5}
    assert only["drops"]


def test_history_that_is_gone_is_said_before_anything_is_stopped(replay, monkeypatch):
    monkeypatch.setattr(history, "lacking", lambda conf, files: (["ledger/x.parquet"], []))
    with pytest.raises(ReplayError, match=r"ledger/x\.parquet"):
        replay.begin("loyalty", savepoint(), {})


def test_one_taken_up_again_goes_on_from_its_own_last_checkpoint(replay, monkeypatch, tmp_path):
    holds(monkeypatch, p0=150, p1=0)
    plan = replay.begin("loyalty", savepoint(), {})
    left = [(tmp_path / name).as_uri() for name in ("chk-1", "chk-2")]
    replay.cluster.left = {"job-1": left}
    again = replay.phases.load("loyalty")
    replay.resume(again)
    last = asked(replay)[-1]
    assert last["from"] == (tmp_path / "chk-2").as_uri()
    assert last["source"] == asked(replay)[0]["source"]
    assert not last["drops"]
    replay.cluster.left = {}
    replay.resume(replay.phases.load("loyalty"))
    assert asked(replay)[-1]["from"] == (tmp_path / "chk-2").as_uri()
    assert plan.origin.replay_id == again.origin.replay_id


def test_a_run_that_somebody_else_submitted_is_not_taken_for_the_replays(replay, monkeypatch):
    holds(monkeypatch, p0=0, p1=0)
    with monkeypatch.context() as patch:

        def no_slots(*_: Any, **__: Any) -> str:
            raise NotReady(["it needs 1 slot"])

        patch.setattr(replay.cluster, "submit", no_slots)
        with pytest.raises(NotReady):
            replay.begin("loyalty", savepoint(), {})
    replay.cluster.submit("loyalty", start_from="file:///elsewhere/chk-9")
    (theirs,) = replay.cluster.runs()
    monkeypatch.setattr(replay.cluster, "running", lambda name: theirs)
    with pytest.raises(ReplayError, match="another run of loyalty"):
        replay.resume(replay.phases.load("loyalty"))


def test_an_unfinished_replay_is_not_begun_again_unasked(replay, monkeypatch):
    holds(monkeypatch, p0=0, p1=0)
    first = replay.begin("loyalty", savepoint(), {})
    monkeypatch.setattr(replay.savepoints, "find", lambda job, wanted: savepoint())
    again = partial(_begun, replay, "loyalty", "2h", {}, None, None, False)
    with pytest.raises(ReplayError, match="is not finished: --resume"):
        again(yes=False)
    assert replay.phases.load("loyalty") == first
    again(yes=True)


def test_it_is_not_there_before_its_first_checkpoint(replay, monkeypatch):
    holds(monkeypatch, p0=0, p1=0)
    plan = replay.begin("loyalty", savepoint(), {})
    idle = Progress(0, 0.0, None, 0, "RUNNING")
    for done, there in ((0, False), (1, True)):
        replay.cluster.completed = done
        assert replay.is_there(plan, idle) == there


def test_a_job_restored_at_the_end_of_an_idle_stream_is_there_though_its_source_says_nothing(
    replay, monkeypatch
):
    holds(monkeypatch, p0=0, p1=0)
    plan = replay.begin("loyalty", savepoint(), {})
    replay.cluster.completed = 1
    silent = Progress(0, 0.0, None, None, "RUNNING")
    for end, there in ((501, False), (500, True)):
        ends = {0: (0, 500), 1: (0, end)}
        monkeypatch.setattr(stream_reach, "watermarks", lambda *_, ends=ends: ends)
        assert replay.is_there(plan, silent) == there
