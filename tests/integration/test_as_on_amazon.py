"""What Amazon's service runs and the local stack does not by itself: state in RocksDB, Java 11."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import ENGINE
from tests.support.java_of_line import java_11
from tests.support.shop import Shop, shops
from tests.support.stacks import kill, with_free_ports
from tests.support.wait import wait_for
from tillstream import catalog
from tillstream.catalog import topics
from tillstream.local.stack import Stack

pytestmark = pytest.mark.long
DIRTY = ("--duplicates", "0.02", "--malformed", "0.01", "--late", "0.05", "--redemptions", "0.03")
STOCK = ("--movements", "0.1", "--stores", "4", "--products", "40")
JOBS_IN_A_ROW = 20


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Stack]]:
    """Starts a stack of the test's own: with engine settings, and as `up` is told."""
    made: list[Stack] = []

    def start(engine: dict[str, str], **how: object) -> Stack:
        monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
        monkeypatch.setenv("TILLSTREAM_FLINK", json.dumps(ENGINE | engine))
        made.append(with_free_ports(tmp_path))
        made[0].up(**how)  # type: ignore[arg-type]
        return made[0]

    yield start
    for stack in made:
        stack.down()


def goes_through_a_crash_and_a_savepoint(stack: Stack, folder: Path) -> None:
    with shops(stack, folder) as open_shop:
        shop = open_shop("amazon", "kinesis")
        shop.submit("loyalty")
        shop.submit("inventory")
        feed = shop.feed(60, *DIRTY, *STOCK)
        shop.wait_for_entries(300)
        shop.wait_for_entries(300, topic=topics.STOCK_CHANGES)
        kill(stack, shop.taskmanager_of("loyalty"))
        for job in ("loyalty", "inventory"):
            shop.wait_for_checkpoints(job)
            shop.run("job", "stop", job, "--savepoint")
            shop.run("job", "restore", job, "--from", "latest-savepoint")
        feed.stop()
        assert shop.prove("sent", 150)["ok"]
        assert shop.prove("sent", 150, "--stock", "--no-decisions")["ok"]


def test_in_rocksdb_nothing_is_lost_or_doubled(started, tmp_path):
    stack = started({}, taskmanagers=3, state_backend="rocksdb")
    goes_through_a_crash_and_a_savepoint(stack, tmp_path / "shop")


def test_on_java_11_nothing_is_lost_or_doubled(started, tmp_path):
    home = java_11(tmp_path / "java")
    stack = started({"env.java.home": str(home)}, taskmanagers=3)
    runs = os.readlink(f"/proc/{stack.pid('taskmanager-1')}/exe")
    assert runs.startswith(str(home))
    goes_through_a_crash_and_a_savepoint(stack, tmp_path / "shop")


def test_twenty_jobs_one_after_the_other_leave_their_taskmanager_as_it_was(started, tmp_path):
    """Each has a Python of its own in the same process, and none may leave it there."""
    stack = started({}, taskmanagers=2)
    with shops(stack, tmp_path / "shop") as open_shop:
        shop = open_shop("twenty", "kafka")
        shop.run("sim", "--to", "kafka", "--flat-out", "--count", "500", "--seed", "1")
        shop.submit(catalog.DOOR)  # which keeps its slot: all others share the other one
        (other,) = {"taskmanager-1", "taskmanager-2"} - {shop.taskmanager_of(catalog.DOOR)}
        pid = stack.pid(other)
        used = [one_job(shop, other) for _ in range(JOBS_IN_A_ROW)]
    assert stack.pid(other) == pid
    early, late = max(used[2:6]), max(used[-4:])
    assert late < early * 1.25, used


def one_job(shop: Shop, host: str) -> int:
    """Resident bytes of the TaskManager once a job has read everything and is gone."""
    shop.submit("loyalty")
    shop.wait_until_read("loyalty")
    shop.rest().cancel(shop.running("loyalty"))
    wait_for(lambda: shop.running("loyalty"), 60, "the job to end", "".__eq__)
    pages = Path(f"/proc/{shop.stack.pid(host)}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
