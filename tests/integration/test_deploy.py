"""`tillstream deploy` against a service that runs real Flink: each transaction once, whatever is deployed,
changed and undone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.amsf.engine import Clock
from tests.amsf.flink_engine import FlinkEngine, changed
from tests.amsf.server import LocalService
from tests.amsf.service import ManagedFlink
from tests.support.as_the_service import can_be_imitated
from tests.support.java_of_line import java_of_line
from tests.support.packed_job import JOB, own_settings, packed
from tests.support.shop import Shop, shops
from tests.support.stacks import with_free_ports
from tests.support.wait import wait_for
from tillstream import conf as settings
from tillstream import flink_line
from tillstream.catalog import topics
from tillstream.cli.times import now_ms
from tillstream.clients import aws
from tillstream.clients.whole_topic import read_whole
from tillstream.deploy import doing, service
from tillstream.deploy.apply import NotHealthy
from tillstream.deploy.doing import Asked
from tillstream.deploy.office import Office
from tillstream.deploy.plan import Consents
from tillstream.errors import Problem
from tillstream.infra import names
from tillstream.local.layout import CREDENTIAL

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not can_be_imitated(), reason="mounts a root of its own: only root may"),
]
SENT = 1_000
HEALTHY = {"healthy_checkpoints": 1, "healthy_minutes": 6}
BROKEN = b"""

def _cannot(*_):
    raise ValueError("the state is of a version that this release does not know")


IntakeOnce.start = IntakeOnce.record = _cannot
"""


class RealTime(Clock):
    """Of the machine."""

    def now_ms(self) -> int:
        return now_ms()


class Amazon:
    """``packages``: the folder that `deploy apply` looks into. ``said``: what the deployer says."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.shop, self.packages, self.said = shop, folder / "packages", []
        self.line = flink_line.installed()
        s3 = {"endpoint": shop.conf().s3.endpoint, "bucket": shop.conf().s3.bucket}
        self.engine = FlinkEngine(
            folder / "runs", java_of_line(folder / "java"), {"s3__endpoint": s3["endpoint"]}
        )
        outputs = {
            names.logical("role", JOB): f"arn:aws:iam::123456789012:role/{JOB}",
            names.logical("log", JOB): "arn:aws:logs:af-south-1:123456789012:log-group:g:log-stream:a",
            "Subnets": "subnet-1,subnet-2", "SecurityGroups": "sg-1",
        }  # fmt: skip
        self.flink = ManagedFlink(self.engine, RealTime(), self._code)
        self.server = LocalService(self.flink, outputs)
        self.over = {"s3": s3, "infra": {"flink": self.line.name}}

    def conf(self) -> settings.Conf:
        deploy = {"deploy": {"endpoint": self.server.endpoint, **HEALTHY}}
        return settings.load("prod", self.over | deploy)

    def _code(self, bucket: str, key: str) -> bytes | None:
        found: bytes = aws.s3(self.conf()).get_object(Bucket=bucket, Key=key)["Body"].read()
        return found

    def office(self) -> Office:
        return Office(self.conf(), self.said.append)

    def package(self, own: Path, **more: str) -> Path:
        """The zip, by the grocer's settings and ``more``."""
        packed(self.shop, own, self.packages, **more)
        return self.packages / f"{JOB}.zip"

    def apply(self) -> None:
        doing.applied(self.office(), JOB, Asked(self.packages, Consents(), 1))

    def traffic(self, number: int) -> Counter[str]:
        """Sends a thousand more; how often each transaction is written once all are."""
        sim = ("sim", "--to", "kafka", "--flat-out", "--count", str(SENT), "--seed", str(number))
        self.shop.run(*sim)
        everything = number * SENT
        wait_for(lambda: len(self.written()), 180, "all transactions", lambda n: n >= everything)
        return self.written()

    def written(self) -> Counter[str]:
        found = self.shop.conf()
        name = found.topic(topics.TRANSACTIONS)
        return Counter(json.loads(raw)["transaction_id"] for raw in values(found, name))


def values(conf: settings.Conf, topic: str) -> list[bytes]:
    return [message.value() or b"" for message in read_whole(conf, "check", topic)]


class Facts(NamedTuple):
    """How often each transaction is written after each part of the story, and what was said."""

    from_nothing: Counter[str]
    updated: Counter[str]
    refused: str
    rolled_back: str
    after_rollback: Counter[str]
    snapshots: list[str | None]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    folder = tmp_path_factory.mktemp("deploy")
    own = own_settings(folder / "conf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLSTREAM_HOME", str(folder))
        stack = with_free_ports(folder)
        try:
            stack.up(taskmanagers=1)
            with shops(stack, folder / "shop") as open_shop:
                patch.setenv("TILLSTREAM_CONF_DIR", str(own))
                for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                    patch.setenv(name, CREDENTIAL)
                patch.setattr(service, "EVERY_S", 2.0)
                yield story(open_shop("deployed", "kafka"), own, folder)
        finally:
            stack.down()


def story(shop: Shop, own: Path, folder: Path) -> Facts:
    amazon = Amazon(shop, folder)
    with amazon.server.listening():
        aws.s3(amazon.conf()).create_bucket(Bucket=names.code_bucket(amazon.conf()))
        try:
            amazon.package(own)
            amazon.apply()
            from_nothing = amazon.traffic(1)
            amazon.package(own, **{"intake.dedupe_hours": "72"})
            amazon.apply()
            updated = amazon.traffic(2)
            later = amazon.package(own, **{"intake.dedupe_hours": "96"})
            changed(later, "manifest.json", without_a_uid)
            with pytest.raises(Problem) as refused:
                amazon.apply()
            later = amazon.package(own, **{"intake.dedupe_hours": "96"})
            changed(later, "dep/tillstream/udfs/intake.py", lambda code: code + BROKEN)
            with pytest.raises(NotHealthy) as rolled_back:
                amazon.apply()
            after = amazon.traffic(3)
        finally:
            amazon.engine.close()
    starts = [one.launch.snapshot for one in amazon.engine.runs.values()]
    return Facts(from_nothing, updated, str(refused.value), str(rolled_back.value), after, starts)


def without_a_uid(raw: bytes) -> bytes:
    manifest = json.loads(raw)
    del manifest["operators"]["intake-voids"]
    return json.dumps(manifest).encode()


def once(written: Counter[str], sent: int) -> None:
    assert len(written) == sent
    assert set(written.values()) == {1}


def test_from_nothing_to_running(facts: Facts):
    once(facts.from_nothing, SENT)
    assert facts.snapshots[0] is None


def test_an_update_goes_on_from_the_snapshot_of_its_stop(facts: Facts):
    once(facts.updated, 2 * SENT)
    assert facts.snapshots[1] is not None


def test_a_lost_uid_is_refused(facts: Facts):
    assert "uid intake-voids) is gone" in facts.refused


def test_one_that_does_not_get_well_is_rolled_back_and_nothing_is_lost_or_doubled(facts: Facts):
    assert "did not get healthy" in facts.rolled_back
    assert "It was rolled back and runs as before" in facts.rolled_back
    once(facts.after_rollback, 3 * SENT)
    assert len(facts.snapshots) == 4
