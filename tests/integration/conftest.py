"""A stack of the tests' own, beside a user's: another home, free ports, the same jars."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support.shop import Shop, no_job_left, shops
from tests.support.stacks import started_by_taskmanagers, with_free_ports
from tillstream.cluster.local import LocalCluster
from tillstream.local import processes
from tillstream.local.stack import Stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


RUNNING = pytest.StashKey[Stack]()
# A story lasts minutes: what the second compiler makes of it comes too late, for a third of the CPU.
JAVA = "-XX:TieredStopAtLevel=1"
ENGINE = {"execution.checkpointing.interval": "2 s"}  # most of what is waited for is seen after one
MEMORY = Path("/dev/shm")
ROOM_BYTES = 6_000_000_000


@pytest.fixture(scope="session")
def stack_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where there is room: the stand-in for DynamoDB waits for the disk at each put, and a
    disk of 500 syncs a second then sets the pace of every job."""
    if MEMORY.exists() and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
        with tempfile.TemporaryDirectory(prefix="tillstream-tests-", dir=MEMORY) as folder:
            yield Path(folder)
    else:
        yield tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def stack(stack_home: Path, pytestconfig: pytest.Config) -> Iterator[Stack]:
    """A running stack with three TaskManagers; $TILLSTREAM_HOME points to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLSTREAM_HOME", str(stack_home))
        patch.setenv("TILLSTREAM_FLINK", json.dumps(ENGINE))
        patch.setenv("JDK_JAVA_OPTIONS", JAVA)
        made = with_free_ports(stack_home)
        try:
            made.up(taskmanagers=3)
            pytestconfig.stash[RUNNING] = made
            yield made
            assert started_by_taskmanagers(made) == []
        finally:
            made.down()


@pytest.fixture
def open_shop(stack: Stack, tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    """Opens shops by name, source and settings; closes them after the test."""
    stack.up(taskmanagers=3)  # brings back what a test before this one killed
    with shops(stack, tmp_path) as opener:
        yield opener


@pytest.fixture(scope="module")
def open_story(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], AbstractContextManager[Callable[..., Shop]]]:
    """For a story that several tests are about: ``with open_story() as open_shop`` closes its shops."""

    def opener() -> AbstractContextManager[Callable[..., Shop]]:
        stack.up(taskmanagers=3)
        return shops(stack, tmp_path_factory.mktemp("story"))

    return opener


@pytest.fixture
def jobs(stack: Stack) -> Iterator[LocalCluster]:
    """The stack's jobs, the stack whole before, no job left after."""
    stack.up(taskmanagers=3)
    found = LocalCluster(stack)
    with no_job_left(lambda: found.flink):
        yield found


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """On failure, what the stack's processes said."""
    outcome = yield
    report = outcome.get_result()
    stack = item.config.stash.get(RUNNING, None)
    if report.failed and stack is not None:
        for log in sorted(stack.layout.logs.glob("*.*")):
            if lines := processes.trouble(log, 15):
                report.sections.append((f"log {log.name}", "\n".join(lines)))
