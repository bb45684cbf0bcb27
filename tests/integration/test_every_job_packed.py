"""Every job from its zip, as Amazon's service runs it: what comes out equals the check, and a job does what
its role may, all of that and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support import ROOT
from tests.support.as_the_service import Service, can_be_imitated, told
from tests.support.java_of_line import java_of_line
from tests.support.packed_job import own_settings, packed
from tests.support.recorded import Call, Recorder, asked_of_kafka, broker, signs_in
from tests.support.shop import Shop, shops
from tests.support.stacks import with_free_ports
from tests.support.wait import wait_for
from tillstream import catalog
from tillstream import conf as settings
from tillstream.infra import policy
from tillstream.local import ports
from tillstream.local.services import KAFKA

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(2_400),
    pytest.mark.skipif(not can_be_imitated(), reason="mounts a root of its own: only root may"),
]
JOBS = catalog.names()
each_job = pytest.mark.parametrize("job", JOBS)
SENT = 2_000
TRAFFIC = (
    *("--count", str(SENT), "--stores", "6", "--products", "40", "--movements", "0.05"),
    *("--duplicates", "0.02", "--malformed", "0.01", "--late", "0.05", "--redemptions", "0.03"),
)
# The service's own: on Amazon it keeps them in a bucket of its own.
OF_THE_SERVICE = ("checkpoints-of-the-service", "savepoints-of-the-service")
# What no ordinary day needs, with the reason why a role has it all the same.
FOR_OTHER_DAYS = {
    "kms:Decrypt": "no stand-in has keys",
    "kms:GenerateDataKey": "no stand-in has keys",
    "s3:AbortMultipartUpload": "of a part file that a restart finds half written",
    "s3:ListMultipartUploadParts": "of a part file that a restart finds half written",
}


class Proof(NamedTuple):
    """What the check said."""

    points: dict[str, Any]
    stock: dict[str, Any]
    sales: dict[str, Any]


class Day(NamedTuple):
    """What became of the traffic, and what each job did for it."""

    proof: Proof
    letters: list[dict[str, Any]]
    conf: settings.Conf
    calls: dict[str, set[Call]]
    histories: set[Call]
    drivers: dict[str, str]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("every-job")
    port = ports.any_free(set(ports.DEFAULTS.values()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLSTREAM_HOME", str(folder))
        patch.setenv(KAFKA, json.dumps(broker(port, JOBS)))
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -Dauthorizer.level=TRACE")
        stack = with_free_ports(folder)
        try:
            stack.up(taskmanagers=1)
            with shops(stack, folder / "shop") as open_shop:
                shop = open_shop("every-job", "kinesis", deployment="prod")
                yield lived(shop, folder, port)
        finally:
            stack.down()


def lived(shop: Shop, folder: Path, port: int) -> Day:
    with ExitStack() as proxies:

        def recorder(service: str, upstream: str | None) -> Recorder:
            made = Recorder(service, upstream or "")
            proxies.callback(made.close)
            return made

        conf = shop.conf()
        kinesis = recorder("kinesis", conf.source.kinesis.endpoint)
        tables = {job: recorder("dynamodb", conf.dynamodb.endpoint) for job in JOBS}
        s3 = recorder("s3", conf.s3.endpoint)
        addresses = {
            job: {
                "kafka.bootstrap": f"127.0.0.1:{port}",
                "source.kinesis.endpoint": kinesis.url,
                "dynamodb.endpoint": tables[job].url,
            }
            for job in JOBS
        }
        with running(shop, folder, addresses, s3.url) as (service, drivers):
            proof = proved(shop, service)
            said = shop.run("dlq", "list", "--json").splitlines()
        letters = [json.loads(line) for line in said if line.startswith("{")]
        calls = asked_of_kafka(shop.stack.layout.log("kafka"))
        for job, one in tables.items():
            calls[job] |= one.calls
        calls[catalog.DOOR] |= kinesis.calls
        return Day(proof, letters, conf, calls, s3.calls, drivers)


@contextmanager
def running(
    shop: Shop, folder: Path, addresses: dict[str, dict[str, str]], s3: str
) -> Iterator[tuple[Service, dict[str, str]]]:
    """All jobs, each from its zip on a TaskManager of its own; and what their drivers said."""
    local = yaml.safe_load((ROOT / "conf" / "local.yaml").read_text())
    terms = {name: local[name] for name in ("loyalty", "intake")}
    java = java_of_line(folder / "java")
    hosts: list[Service] = []
    services: dict[str, Service] = {}
    for job in JOBS:
        own = own_settings(folder / "conf" / job, **terms, kafka={"properties": signs_in(job)})
        packed(shop, own, folder / "packages", job, **{
            "source.kinesis.account": "123456789012", **addresses[job],
        })  # fmt: skip
        said = json.loads((folder / "packages" / f"{job}.properties.json").read_text())
        package = folder / "packages" / f"{job}.zip"
        services[job] = Service(folder / job, package, told(said), java, *hosts[:1])
        hosts.append(services[job])
    first = hosts[0]
    first.set_engine(
        s3__endpoint=s3,
        jobmanager__memory__process__size="1500m",
        taskmanager__memory__process__size="1700m",
        taskmanager__memory__managed__size="128m",
    )
    with first.cluster(len(JOBS)):
        for job in (catalog.DOOR, *(name for name in JOBS if name != catalog.DOOR)):
            services[job].submit("driver")
        for job in JOBS:
            wait_for(lambda job=job: first.state(job), 300, job, "RUNNING".__eq__, every_s=1)
        yield first, {job: one.log("driver") for job, one in services.items()}


def proved(shop: Shop, service: Service) -> Proof:
    """Traffic through all of them, and what the check says then."""
    shop.feed(100, *TRAFFIC).done(600)
    points = shop.prove("sent", 300, "--archive")
    stock = shop.prove("sent", 300, "--stock")
    # No later sale comes to close the last windows: draining does.
    end = f"file://{service.folder}/end"
    service.rest.stop_with_savepoint(service.run("sales"), end, drain=True)
    sales = shop.prove("sent", 120, "--sales")
    for job in JOBS:
        if job != "sales":
            assert service.state(job) == "RUNNING"
            assert not service.rest.exceptions(service.run(job), since_ms=0)
    return Proof(points, stock, sales)


def test_points_dead_letters_and_the_archive_equal_the_check(day: Day):
    assert day.proof.points["ok"]
    assert day.proof.points["totals"]["transactions passed on"][0] > SENT * 0.9


def test_stock_equals_the_check(day: Day):
    assert day.proof.stock["ok"]
    assert day.proof.stock["totals"]["lines"][0] > SENT


def test_revenue_equals_the_check(day: Day):
    assert day.proof.sales["ok"]


def test_no_dead_letter_is_there_but_what_was_sent_broken(day: Day):
    assert {one["job"] for one in day.letters} == {catalog.DOOR}


@each_job
def test_it_runs_in_thread_mode_by_the_settings_of_prod(day: Day, job: str):
    assert f"job {job}: Python in thread mode, parallelism 1, settings of prod" in day.drivers[job]


@each_job
def test_every_call_is_one_that_its_role_may_make(day: Day, job: str):
    may = allowed(day.conf, job)
    for call in sorted(day.calls[job]):
        assert fits(call, may), call


def test_every_file_was_written_as_a_role_may(day: Day):
    roles = {job: allowed(day.conf, job) for job in JOBS}
    for call in sorted(day.histories):
        _, _, key = call.resource.partition("/")
        if not key.startswith(OF_THE_SERVICE):
            assert any(fits(call, may) for may in roles.values()), call


@each_job
def test_every_permission_was_used_by_something(day: Day, job: str):
    made = day.calls[job] | day.histories
    for action, resource in sorted(allowed(day.conf, job)):
        if action in FOR_OTHER_DAYS or f"/{policy.REPLAYED}-" in resource:
            continue
        if action != "kafka-cluster:Connect":  # which whatever was asked of a broker is proof of
            assert any(fits(call, {(action, resource)}) for call in made), (action, resource)


def allowed(conf: settings.Conf, job: str) -> set[tuple[str, str]]:
    """(action, name of the resource), without what the service does with the role by itself."""
    return {
        (action, name_of(resource))
        for one in policy.grants(conf, catalog.job(job))
        if one.because != (policy.SERVICE,)
        for action in one.actions
        for resource in one.resources
    }


def name_of(resource: Any) -> str:
    """Of its ARN, what the calls have: a table, stream, topic, group, or bucket and key."""
    arn = resource if isinstance(resource, str) else str(next(iter(resource.values())))
    if ":s3:::" in arn:
        return arn.rpartition(":::")[2]
    _, _, after = arn.partition("${KafkaUuid}")
    return after.strip("/") if "${KafkaUuid}" in arn else arn.rpartition("/")[2]


def fits(call: Call, may: set[tuple[str, str]]) -> bool:
    """A list of a bucket goes by the prefix asked for, in a condition of its own; a read of a shard names no
    stream but in its iterator."""
    for action, resource in may:
        if action != call.action:
            continue
        if action == "s3:ListBucket":
            return call.resource.startswith(f"{resource}/")
        begins, star, _ = resource.partition("*")
        if call.resource == resource or (star and call.resource.startswith(begins)):
            return True
        if action.startswith("kinesis:") and not call.resource:
            return True
    return False
