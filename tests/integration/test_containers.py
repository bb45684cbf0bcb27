"""The image and the compose file of docker/, tried without a container engine: from debootstrap to jobs that
have read what tills sent."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest
import yaml

from tests.support import ROOT
from tests.support.containers import Composed, Image, can_be_built
from tests.support.wait import wait_for
from tillstream import catalog
from tillstream import conf as settings
from tillstream.clients.flink import FlinkRest, FlinkRestError
from tillstream.errors import Unreachable
from tillstream.infra import kubernetes
from tillstream.local import ports
from tillstream.local.layout import CREDENTIAL

COMPOSE = ROOT / "docker" / "compose.yaml"
SIM = ("sim", "--to", "kinesis", "--flat-out", "--count", "2000", "--truth", "/data/truth")

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(3_600),
    pytest.mark.skipif(not can_be_built(), reason="needs root and debootstrap"),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return Image(ROOT / "docker" / "Dockerfile", ROOT, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def composed(image: Image) -> Iterator[Composed]:
    """All services, once topics, tables and buckets are made."""
    taken = [name for name, port in ports.DEFAULTS.items() if not ports.is_free(port)]
    if taken:
        pytest.skip(f"the usual ports are taken: {', '.join(taken)}")
    made = Composed(COMPOSE, image, image.work / "data")
    made.run("prepare")
    try:
        for name, service in made.services.items():
            if service.get("restart") == "unless-stopped":
                made.start(name)
        made.run("resources", timeout_s=400)
        yield made
    finally:
        made.stop()


def cli(composed: Composed, *arguments: str) -> str:
    return composed.run("cli", "tillstream", *arguments, timeout_s=400)


def test_a_job_in_containers_reads_what_tills_sent_and_equals_the_check(composed: Composed):
    for job in ("intake", "loyalty"):
        cli(composed, "job", "submit", job, "--parallelism", "1")
    cli(composed, *SIM)
    said = cli(composed, "check", "--truth", "/data/truth", "--wait", "200", "--no-archive")
    assert "equal" in said


def test_a_jobmanager_that_was_killed_goes_on_with_its_jobs(composed: Composed):
    composed.running["jobmanager"].send_signal(signal.SIGKILL)
    composed.running["jobmanager"].wait()
    composed.start("jobmanager")  # as the engine does, by restart: unless-stopped
    rest = "http://127.0.0.1:8081"

    def states() -> set[str]:
        with suppress(Unreachable, FlinkRestError, OSError):
            return {one["state"] for one in FlinkRest(rest).jobs()}
        return set()

    wait_for(states, 240, "the jobs to run on", {"RUNNING"}.__eq__, every_s=1)


def test_a_job_has_a_cluster_of_its_own_as_the_operator_starts_it(composed: Composed):
    """By Flink's scripts in the image and the engine's settings of the manifest, but for where state is kept,
    and who leads, which a Kubernetes cluster is asked for."""
    spec = kubernetes.deployment(settings.load("prod"), catalog.job("archive"), "tillstream")[
        "spec"
    ]
    engine = {
        name: value
        for name, value in spec["flinkConfiguration"].items()
        if not name.startswith(("high-availability", "fs.s3a.")) and not name.endswith("dir")
    }
    engine |= {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": "6124",
        "rest.port": "8082",
        "taskmanager.host": "127.0.0.1",
        "execution.checkpointing.dir": "file:///data/own/checkpoints",
        "execution.checkpointing.interval": "3 s",
        "s3.endpoint": f"http://127.0.0.1:{ports.DEFAULTS['s3']}",
        "s3.path.style.access": "true",
        "s3.directory.marker.retention": "keep",
        "s3.access-key": CREDENTIAL,
        "s3.secret-key": CREDENTIAL,
        "jobmanager.memory.process.size": "1500m",
        "taskmanager.memory.process.size": "1900m",
    }
    said = [f"-D{name}={value}" for name, value in engine.items()]
    manager = ["standalone-job.sh", "start-foreground", *said]
    job = spec["job"]
    manager += ["--job-classname", job["entryClass"], *job["args"]]
    composed.start("cli", *manager, name="own-jobmanager")
    composed.start("cli", "taskmanager.sh", "start-foreground", *said, name="own-taskmanager")
    asked = ("--truth", "/data/truth", "--wait", "300")
    assert "equal" in cli(composed, "check", *asked)


def test_the_stack_in_containers_refuses_to_be_started_beside_them(composed: Composed):
    with pytest.raises(AssertionError, match="runs in containers"):
        cli(composed, "up")


def test_nobody_in_a_container_is_root(image: Image):
    assert image.last.user == ["9999:9999"]


def test_the_compose_file_has_a_container_for_each_process():
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    assert {"kafka", "kinesis", "dynamodb", "s3", "zookeeper", "jobmanager"} <= set(services)
    count = services["prepare"]["environment"]["TILLSTREAM_TASKMANAGERS"]
    assert len([one for one in services if one.startswith("taskmanager-")]) == int(count)
