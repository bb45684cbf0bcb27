"""A job runs from its zip as on Amazon's service: nothing of the clone, of the environment or of root."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.as_the_service import Service, can_be_imitated, told
from tests.support.java_of_line import java_of_line
from tests.support.packed_job import JOB, own_settings, packed
from tests.support.shop import shops
from tests.support.stacks import with_free_ports
from tests.support.wait import wait_for
from tillstream import conf
from tillstream.catalog import topics

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not can_be_imitated(), reason="mounts a root of its own: only root may"),
]
SENT = 2_000


class Facts(NamedTuple):
    """What was seen of the job while it ran."""

    driver: str
    worker: str
    written: int
    metrics: dict[str, str]
    left: bool
    written_anew: int
    metrics_anew: dict[str, str]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    folder = tmp_path_factory.mktemp("as-the-service")
    own = own_settings(folder / "conf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLSTREAM_HOME", str(folder))
        stack = with_free_ports(folder)
        try:
            stack.up(taskmanagers=1)
            with shops(stack, folder / "shop") as open_shop:
                yield seen(open_shop("packed", "kafka"), own, folder)
        finally:
            stack.down()


def seen(shop: Any, own: Path, folder: Path) -> Facts:
    packed(shop, own, folder)
    groups = told(json.loads((folder / f"{JOB}.properties.json").read_text()))
    java = java_of_line(folder / "java")
    service = Service(folder / "service", folder / f"{JOB}.zip", groups, java)
    service.set_engine(s3__endpoint=shop.conf().s3.endpoint)
    with service.running():
        first = traffic(shop, service, 1)
        driver, worker = service.log("driver"), service.log("taskmanager")
        service.started_anew()
        return Facts(
            driver, worker, *first, conf.AMSF_PROPERTIES.exists(), *traffic(shop, service, 2)
        )


def traffic(shop: Any, service: Service, times: int) -> tuple[int, dict[str, str]]:
    """How many transactions are written once it has come, and what the job tells of its Python then."""
    seed = str(times)
    shop.run("sim", "--to", "kafka", "--flat-out", "--count", str(SENT), "--seed", seed)
    everything = times * SENT
    written = wait_for(
        lambda: shop.written(topics.TRANSACTIONS), 120, "all sales", lambda n: n >= everything
    )
    return written, wait_for(service.python_metrics, 60, "two metrics", lambda m: len(m) == 2)


def test_what_was_sent_is_checked_and_written(facts: Facts):
    assert facts.written >= SENT


def test_the_job_says_at_its_start_how_its_python_runs(facts: Facts):
    assert "job intake: Python in thread mode, parallelism 1, settings of prod" in facts.driver
    assert "runs in thread mode; subtasks that share this interpreter: 1" in facts.worker


def test_a_metric_says_so_too(facts: Facts):
    assert facts.metrics == {"pythonThreadMode": "1", "pythonSubtasksPerInterpreter": "1"}


def test_nothing_is_left_where_the_service_puts_the_properties(facts: Facts):
    assert not facts.left


def test_submitted_anew_it_goes_on_in_thread_mode(facts: Facts):
    assert facts.written_anew >= 2 * SENT
    assert facts.metrics_anew == facts.metrics
