"""A disk that fills up in mid-traffic: said in one line, and nothing is lost once there is room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shop import Shop
from tests.support.stacks import with_free_ports
from tillstream.chaos import disk

pytestmark = pytest.mark.long
DISK_MIB = 512


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of its own; skipped where this user may not mount one."""
    folder = tmp_path / "disk"
    if not disk.mount(folder, DISK_MIB):
        pytest.skip("a small disk needs the right to mount a tmpfs")
    yield folder
    disk.unmount(folder)


def test_a_full_disk_is_one_line_and_loses_nothing(small_disk, tmp_path) -> None:
    before = os.environ.get("TILLSTREAM_HOME")
    stack = with_free_ports(small_disk)
    try:
        stack.up(taskmanagers=2)
        shop = Shop(stack, "full-disk", tmp_path, "kafka")
        shop.submit("loyalty")
        feed = shop.feed(600, "--count", "12000", "--duplicates", "0.01", "--malformed", "0.01")
        shop.wait_for_entries(2_000)
        ballast = disk.fill(small_disk)
        said = shop.run("status", fails=True)
        assert "the disk is full" in said
        assert "Free space there" in said
        assert "Traceback" not in said
        refused = shop.run("up", fails=True)
        assert refused.strip().startswith("error: the disk is full")
        assert len(refused.strip().splitlines()) == 1
        # The till side keeps what the broker no longer takes: nothing is lost while it is full.
        try:
            feed.done()
        except AssertionError as kept:
            if "could not be sent and are kept in" not in str(kept):
                raise
        ballast.unlink()
        shop.run("up")
        spool = shop.truth / "spool.jsonl"
        if spool.exists():
            waiting = spool.rename(tmp_path / "waiting.jsonl")
            shop.run("sim", "--to", "kafka", "--from-spool", str(waiting))
        for job in ("intake", "loyalty"):
            if not shop.running(job):
                shop.run("job", "restore", job, "--from", "latest-checkpoint")
        shop.prove(order="ledger")
    finally:
        stack.down()
        if before is None:
            os.environ.pop("TILLSTREAM_HOME", None)
        else:
            os.environ["TILLSTREAM_HOME"] = before
