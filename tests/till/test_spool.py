"""The spool keeps what it was given in order, refuses rather than drops, and knows what it is not."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.till.fakes import open_spool
from tillstream.errors import Problem
from tillstream.till import layout, spool
from tillstream.till.layout import SpoolDamaged, SpoolInUse
from tillstream.till.spool import Limits, SpoolFull, drop_refused, read_refused


def keys(found: list[spool.Waiting]) -> list[tuple[str, bytes]]:
    return [(one.key, one.raw) for one in found]


def test_a_batch_is_the_oldest_record_of_each_key_oldest_first(tmp_path: Path) -> None:
    kept = open_spool(tmp_path)
    kept.keep([("A", b"1"), ("B", b"2"), ("A", b"3"), ("C", b"4")])
    batch = kept.oldest(10, 1000, ())
    assert keys(batch) == [("A", b"1"), ("B", b"2"), ("C", b"4")]
    kept.settle([batch[0].seq])
    assert keys(kept.oldest(10, 1000, {"B"})) == [("A", b"3"), ("C", b"4")]


def test_a_batch_has_no_more_bytes_than_asked_for_unless_one_record_has(tmp_path: Path) -> None:
    kept = open_spool(tmp_path)
    kept.keep([("A", b"x" * 50), ("B", b"x" * 60), ("C", b"")])
    assert keys(kept.oldest(10, 100, ())) == [("A", b"x" * 50)]
    assert keys(kept.oldest(10, 10, ())) == [("A", b"x" * 50)]


def test_a_key_that_is_held_with_very_many_records_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "WINDOW", 20)
    kept = open_spool(tmp_path)
    kept.keep([*[("A", b"%d" % n) for n in range(50)], ("B", b"last")])
    assert keys(kept.oldest(10, 1000, {"A"})) == [("B", b"last")]


def test_what_was_kept_is_there_after_the_process_is_gone(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from tests.till.fakes import open_spool\n"
        "open_spool(Path(sys.argv[1])).keep([('A', b'1'), ('A', b'2')]); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    kept = open_spool(tmp_path)
    assert kept.sums[:2] == (2, 2)
    assert kept.has("A")
    assert not kept.has("B")
    assert keys(kept.oldest(10, 1000, ())) == [("A", b"1")]


@pytest.mark.parametrize(
    ("limits", "free", "why"),
    [
        (Limits(2, 10**9, 0), 10**12, "till.spool_records: 2"),
        (Limits(10**6, 250, 0), 10**12, "till.spool_bytes: 250"),
        (Limits(10**6, 10**9, 1000), 1300, "till.disk_free_bytes"),
    ],
)
def test_a_full_spool_refuses_all_of_what_does_not_fit_and_says_what_to_do(
    tmp_path: Path, limits: Limits, free: int, why: str
) -> None:
    kept = open_spool(tmp_path, limits, free)
    kept.keep([("A", b"x" * 100)])
    left = [("A", b"x" * 100), ("B", b"x" * 100)]
    with pytest.raises(SpoolFull, match=f"{why}.*tillstream till status") as full:
        kept.keep(left)
    assert full.value.left == left
    assert kept.sums.waiting == 1
    kept.keep([("A", b"x" * 100)])


def test_what_is_refused_counts_until_a_person_drops_it(tmp_path: Path) -> None:
    kept = open_spool(tmp_path, Limits(2, 10**9, 0))
    kept.keep([("A", b"poison")], [("B", b"big", "too large")])
    (first,) = kept.oldest(10, 1000, ())
    kept.settle([], [(first.seq, "never")])
    assert kept.full([("C", b"1")])
    with contextlib.closing(layout.read_file(tmp_path)) as beside:
        reasons = {one.reason: one.seq for one in read_refused(beside)}
        assert set(reasons) == {"never", "too large"}
        assert drop_refused(beside, [*reasons.values(), 99]) == 2
    assert not kept.full([("C", b"1")])
    kept.keep([("C", b"1")])
    assert kept.sums[:4] == (1, 1, 0, 0)


def test_the_place_of_a_record_is_never_given_to_another(tmp_path: Path) -> None:
    kept = open_spool(tmp_path)
    for n in range(3):
        kept.keep([("A", b"1")])
        (one,) = kept.oldest(1, 100, ())
        assert one.seq == n + 1
        kept.settle([one.seq])


def test_an_empty_spool_gives_its_disk_back(tmp_path: Path) -> None:
    kept = open_spool(tmp_path)
    kept.keep([(f"K{n}", b"x" * 100_000) for n in range(120)])
    assert not kept.shrink()
    kept.settle([one.seq for one in kept.oldest(500, 10**9, ())])
    assert kept.shrink()
    assert (tmp_path / layout.NAME).stat().st_size < 100_000


def test_nobody_else_can_read_what_waits(tmp_path: Path) -> None:
    open_spool(tmp_path / "till").keep([("A", b"1")])
    assert stat.S_IMODE((tmp_path / "till").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "till" / layout.NAME).stat().st_mode) == 0o600


def test_a_commit_is_synced(tmp_path: Path) -> None:
    kept = open_spool(tmp_path)
    assert kept._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert kept._db.execute("PRAGMA journal_mode").fetchone() == ("truncate",)


def filled(folder: Path) -> Path:
    kept = open_spool(folder)
    kept.keep([(f"K{n}", b"x" * 3000) for n in range(50)])
    kept.close()
    return folder / layout.NAME


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def other_program(file: Path) -> None:
    file.unlink()
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE cookies (name)")


def layout_of(number: int):
    def change(file: Path) -> None:
        with contextlib.closing(sqlite3.connect(file)) as db:
            db.execute(f"PRAGMA user_version = {number}")

    return change


def scribbled(file: Path) -> None:
    with file.open("r+b") as written:
        written.seek(8192)
        written.write(b"\xff" * 20_000)


def gone_but_for_its_journal(file: Path) -> None:
    file.with_name(f"{file.name}-journal").write_bytes(b"hot")
    file.unlink()


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (cut, "is damaged"),
        (scribbled, "is damaged"),
        (lambda file: os.truncate(file, 0), "is empty, which no spool ever is"),
        (lambda file: file.write_bytes(b"not a database" * 1000), "is damaged"),
        (other_program, "another program's database"),
        (layout_of(0), "made by an older release"),
        (layout_of(7), "made by a newer release"),
        (gone_but_for_its_journal, "is gone, but spool.db-journal is there"),
    ],
)
def test_what_is_no_spool_is_left_as_it_is_with_the_fix(tmp_path: Path, harm, what: str) -> None:
    file = filled(tmp_path)
    harm(file)
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    with pytest.raises(SpoolDamaged, match=f"{what}.*move") as said:
        open_spool(tmp_path)
    assert str(file) in said.value.message
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before


def test_a_spool_that_was_being_made_when_the_power_went_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "spool.db.new").write_bytes(b"half")
    open_spool(tmp_path).keep([("A", b"1")])


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match=r"file.*till\.folder must be a folder"):
        open_spool(tmp_path / "file")


def test_two_forwarders_cannot_have_one_spool(tmp_path: Path) -> None:
    assert not layout.is_locked(tmp_path)
    with layout.lock(tmp_path):
        assert layout.is_locked(tmp_path)
        with (
            pytest.raises(SpoolInUse, match=rf"process {os.getpid()}\) has the spool.*stop it"),
            layout.lock(tmp_path),
        ):
            pass
    with layout.lock(tmp_path):
        pass
