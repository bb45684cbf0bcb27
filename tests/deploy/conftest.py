"""Amazon as `deploy` sees it: the local service with an engine that only keeps time, S3 in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from tests.amsf.engine import Clock, FakeEngine
from tests.amsf.packages import package
from tests.amsf.server import LocalService
from tests.amsf.service import ManagedFlink
from tillstream import conf as settings
from tillstream.clients import aws
from tillstream.deploy import cluster, commands, doing, service
from tillstream.deploy.doing import Asked
from tillstream.deploy.office import Office
from tillstream.deploy.plan import Consents
from tillstream.deploy.service import Clock as Time
from tillstream.infra import names

REGION = "af-south-1"
ROLE = "arn:aws:iam::123456789012:role/loyalty"
STREAM = "arn:aws:logs:af-south-1:123456789012:log-group:g:log-stream:application"


@dataclass
class Amazon:
    """``packages``: the folder that `apply` looks into."""

    conf: settings.Conf
    clock: Clock
    engine: FakeEngine
    flink: ManagedFlink
    server: LocalService
    packages: Path
    said: list[str] = field(default_factory=list)

    def office(self) -> Office:
        """A deployer of its own, as another process has."""
        return Office(self.conf, self.said.append, Time(self.clock.now_ms, self.clock.sleep))

    def package(self, job: str = "loyalty", **over: Any) -> None:
        package(self.packages, job, **over)

    def asked(self, parallelism: int | None = None, **consents: Any) -> Asked:
        return Asked(self.packages, Consents(**consents), parallelism)

    def apply(self, job: str = "loyalty", **consents: Any) -> None:
        doing.applied(self.office(), job, self.asked(**consents))

    def app(self, job: str = "loyalty") -> Any:
        return self.flink.applications[f"prod.{job}"]

    def status(self, job: str = "loyalty") -> str:
        found = self.office().service.find(f"prod.{job}")
        return found.status if found else "absent"

    @property
    def newest(self) -> Any:
        """The last launch."""
        return list(self.engine.runs.values())[-1].launch

    def calls_since(self, act: Callable[[], object]) -> list[str]:
        """The calls that change something."""
        before = len(self.flink.calls)
        act()
        reads = ("Describe", "List")
        return [one for one in self.flink.calls[before:] if not one.startswith(reads)]


def _no_code(bucket: str, key: str) -> bytes | None:
    return None


@pytest.fixture(scope="module")
def listening() -> Iterator[LocalService]:
    clock = Clock()
    outputs = {"Subnets": "subnet-1,subnet-2", "SecurityGroups": "sg-1"}
    for job in ("loyalty", "intake", "archive", "sales"):
        outputs |= {names.logical("role", job): ROLE, names.logical("log", job): STREAM}
    found = LocalService(ManagedFlink(FakeEngine(clock), clock, _no_code), outputs)
    with found.listening():
        yield found


@pytest.fixture(scope="module")
def clients(listening) -> dict[str, Any]:
    """Made once: that is most of what an office costs."""
    with mock_aws():
        asked = {"config": Config(retries={"mode": "standard", "total_max_attempts": 5})}
        services = ("kinesisanalyticsv2", "cloudwatch", "logs", "cloudformation")
        made = {
            name: boto3.client(name, REGION, endpoint_url=listening.endpoint, **asked)
            for name in services
        }
        return made | {"s3": boto3.client("s3", REGION)}


@pytest.fixture
def amazon(tmp_path, monkeypatch, listening, clients) -> Iterator[Amazon]:
    monkeypatch.delenv("TILLSTREAM_CONF", raising=False)
    monkeypatch.setattr(service, "EVERY_S", 20.0)
    with mock_aws():
        clock = Clock()
        engine = FakeEngine(clock)
        s3 = clients["s3"]

        def code(bucket: str, key: str) -> bytes | None:
            try:
                found: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            except s3.exceptions.NoSuchKey:
                return None
            return found

        listening.flink, listening.throttle = ManagedFlink(engine, clock, code), 0
        over = {"deploy": {"endpoint": listening.endpoint, "healthy_minutes": 10}}
        conf = settings.load("prod", over)
        s3.create_bucket(
            Bucket=names.code_bucket(conf),
            CreateBucketConfiguration={"LocationConstraint": REGION},
        )
        made = Amazon(conf, clock, engine, listening.flink, listening, tmp_path / "packages")
        monkeypatch.setattr(commands, "_open", made.office)
        for module in (commands, cluster):
            monkeypatch.setattr(module, "packages_folder", lambda _: made.packages)
        for name, of in (
            ("managed_flink", "kinesisanalyticsv2"),
            ("cloudwatch", "cloudwatch"),
            ("cloudwatch_logs", "logs"),
            ("cloudformation", "cloudformation"),
            ("s3", "s3"),
        ):
            monkeypatch.setattr(aws, name, lambda _, of=of: clients[of])
        package(made.packages)
        yield made
