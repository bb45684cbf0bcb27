"""A replay is killed before or after each thing it does, taken up again, and ends the same."""

from __future__ import annotations

import pytest

from tests.support.fake_cluster import FakeCluster
from tillstream import catalog
from tillstream.cluster.manifest import Manifest
from tillstream.cluster.protocol import SourceFigures
from tillstream.conf import load
from tillstream.history import settle as history
from tillstream.replay import backfill, stream_reach
from tillstream.replay.phases import Done
from tillstream.replay.replay import Replay
from tillstream.replay.stream_reach import Gap, Reach

T0 = 1_764_000_000_000
POSITIONS = {"kafka:transactions": {"0": "100", "1": "20"}}
GONE_BACK_TO = Manifest("loyalty", "id", "file:///s", T0, T0, 1, "1", "1", 2, {}, POSITIONS)
# Through the archive: save, fill, save, submit, save, stop, save, drop the topic, submit, save,
# checkpoint, settle, save.
STEPS = 13


class Whole:
    """Of an archive that has everything."""

    def missing(self):
        return {}


WHOLE = Whole()


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class Outside:
    """All that a replay changes. ``dies_at``: the number of the deed before or after which it dies."""

    def __init__(self, tmp_path, monkeypatch):
        self.cluster = FakeCluster(tmp_path)
        self.cluster.completed = 1
        self.cluster.figures = lambda job_id: SourceFigures("RUNNING", 9, 0, 0)
        self.topics: set[str] = set()
        self.deeds: list[str] = []
        self.dies_at, self.after = -1, False
        monkeypatch.setattr("tillstream.replay.replay.time.sleep", lambda _: None)
        monkeypatch.setattr(history, "s3_now_ms", lambda _: T0)
        reach = Reach(kafka={0: (150, 1_000), 1: (0, 1_000)})
        monkeypatch.setattr(stream_reach, "reach", lambda _: reach)
        monkeypatch.setattr(backfill, "survey", lambda *_: WHOLE)
        settled = self.deed("settle", lambda *_: history.Settled(1, 1))
        monkeypatch.setattr(history, "settle", settled)
        for name in ("submit", "checkpoint"):
            setattr(self.cluster, name, self.deed(name, getattr(self.cluster, name)))

    def deed(self, name, real):
        def done(*args, **options):
            self.deeds.append(name)
            if len(self.deeds) == self.dies_at and not self.after:
                raise Killed
            found = real(*args, **options)
            if len(self.deeds) == self.dies_at:
                raise Killed
            return found

        return done

    def drop(self, prefix: str) -> None:
        self.topics -= {topic for topic in self.topics if topic.startswith(prefix)}

    def process(self) -> Replay:
        """A new one, with nothing in its memory."""
        conf = load("local", {"kafka": {"bootstrap": "h:1"}}).of(catalog.job("loyalty"))
        one = Replay(self.cluster, conf, lambda line: None)
        one.savepoints.files_named = lambda _: []
        one.savepoints.stop = self.deed("stop", one.savepoints.stop)
        one.phases.save = self.deed("save", one.phases.save)
        one.archive.fill = self.deed("fill", lambda topic, gap, at: self.topics.add(topic))
        one.archive.drained = lambda topic, job: topic in self.topics
        one.archive.lost_meanwhile = lambda gap, begun: Gap()
        one.archive.drop_topics = self.deed("drop", self.drop)
        return one


@pytest.fixture
def outside(tmp_path, monkeypatch) -> Outside:
    return Outside(tmp_path, monkeypatch)


def whole(one: Replay) -> Done:
    return one.follow(one.begin("loyalty", GONE_BACK_TO, {}), lambda progress: None)


def test_undisturbed_it_does_so_much(outside):
    assert isinstance(whole(outside.process()), Done)
    assert outside.deeds == [
        *("save", "fill", "save", "submit", "save"),
        *("stop", "save", "submit", "save"),
        *("checkpoint", "settle", "drop", "save"),
    ]
    assert len(outside.deeds) == STEPS


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, STEPS + 1))
def test_killed_anywhere_it_is_taken_up_and_ends_the_same(outside, number, after):
    outside.dies_at, outside.after = number, after
    with pytest.raises(Killed):
        whole(outside.process())
    outside.dies_at = -1
    again = outside.process()
    kept = again.phases.load("loyalty")
    if (number, after) == (1, False):
        assert kept is None  # nothing was done yet
        kept = again.begin("loyalty", GONE_BACK_TO, {})
    elif (number, after) == (STEPS, True):
        assert kept is None  # all was done
        return
    done = again.follow(again.resume(kept), lambda progress: None)
    assert isinstance(done, Done)
    assert again.phases.load("loyalty") is None
    live = outside.cluster.submitted_as[-1]
    assert live["source"] == {"kafka": {"offsets": {"0": 150, "1": 20}}}
    assert live["drops"]
    assert "/savepoints/loyalty/" in live["from"]
    running = [run for run in outside.cluster.runs() if not run.ended]
    assert len(running) == 1
    assert outside.topics == set()
