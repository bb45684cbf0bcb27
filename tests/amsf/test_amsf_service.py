"""The local service keeps the service's rules as boto3 sees them, and answers as moto does where both can."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.amsf.engine import Clock, FakeEngine
from tests.amsf.packages import package
from tests.amsf.server import LocalService
from tests.amsf.service import MOST_SNAPSHOTS, ManagedFlink

REGION = "af-south-1"


def request(name: str = "prod.loyalty", **configuration: Any) -> dict[str, Any]:
    content = {"S3ContentLocation": {"BucketARN": "arn:aws:s3:::code", "FileKey": "a.zip"}}
    flink = {
        "ParallelismConfiguration": {"ConfigurationType": "CUSTOM", "Parallelism": 4, "ParallelismPerKPU": 1,
                                     "AutoScalingEnabled": False},
        "CheckpointConfiguration": {"ConfigurationType": "DEFAULT"},
        "MonitoringConfiguration": {"ConfigurationType": "DEFAULT"},
    }  # fmt: skip
    return {
        "ApplicationName": name,
        "RuntimeEnvironment": "FLINK-1_20",
        "ServiceExecutionRole": "arn:aws:iam::123456789012:role/r",
        "ApplicationConfiguration": {
            "ApplicationCodeConfiguration": {"CodeContentType": "ZIPFILE", "CodeContent": content},
            "ApplicationSnapshotConfiguration": {"SnapshotsEnabled": True},
            "ApplicationSystemRollbackConfiguration": {"RollbackEnabled": True},
            "EnvironmentProperties": {
                "PropertyGroups": [{"PropertyGroupId": "tillstream", "PropertyMap": {"a": "b"}}]
            },
            "VpcConfigurations": [{"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}],
            "FlinkApplicationConfiguration": flink,
            **configuration,
        },
        "CloudWatchLoggingOptions": [{"LogStreamARN": "arn:aws:logs:af-south-1:1:log-group:g"}],
        "ApplicationMode": "STREAMING",
    }


class Amazon:
    def __init__(self, code: bytes) -> None:
        self.clock = Clock()
        self.engine = FakeEngine(self.clock)
        self.flink = ManagedFlink(self.engine, self.clock, lambda bucket, key: code)
        self.client: Any = None

    def status(self) -> str:
        detail = self.client.describe_application(ApplicationName="prod.loyalty")[
            "ApplicationDetail"
        ]
        return str(detail["ApplicationStatus"])

    def started(self) -> None:
        self.client.create_application(**request())
        self.client.start_application(ApplicationName="prod.loyalty")
        self.clock.sleep(60)

    def update(self, version: int = 1, **asked: Any) -> Any:
        return self.client.update_application(
            ApplicationName="prod.loyalty", CurrentApplicationVersionId=version, **asked
        )


@pytest.fixture
def amazon(tmp_path, monkeypatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    code = (package(tmp_path) / "loyalty.zip").read_bytes()
    found = Amazon(code)
    with LocalService(found.flink).listening() as endpoint:
        found.client = boto3.client("kinesisanalyticsv2", REGION, endpoint_url=endpoint)
        yield found


def refused(code: str) -> Any:
    return pytest.raises(ClientError, match=code)


def test_statuses_come_in_their_order(amazon):
    amazon.client.create_application(**request())
    seen = [amazon.status()]
    amazon.client.start_application(ApplicationName="prod.loyalty")
    seen.append(amazon.status())
    amazon.clock.sleep(30)
    seen.append(amazon.status())
    amazon.client.stop_application(ApplicationName="prod.loyalty")
    seen.append(amazon.status())
    amazon.clock.sleep(20)
    seen.append(amazon.status())
    assert seen == ["READY", "STARTING", "RUNNING", "STOPPING", "READY"]
    (left,) = amazon.client.list_application_snapshots(ApplicationName="prod.loyalty")[
        "SnapshotSummaries"
    ]
    assert left["SnapshotStatus"] == "READY"


def test_an_update_names_the_version_it_is_of_and_waits_its_turn(amazon):
    amazon.client.create_application(**request())
    asked = {"ServiceExecutionRoleUpdate": "arn:aws:iam::1:role/other"}
    assert amazon.update(**asked)["ApplicationDetail"]["ApplicationVersionId"] == 2
    with refused("ConcurrentModificationException"):
        amazon.update(**asked)
    with refused("InvalidArgumentException"):
        amazon.client.update_application(ApplicationName="prod.loyalty", **asked)
    amazon.client.start_application(ApplicationName="prod.loyalty")
    with refused("ResourceInUseException"):
        amazon.update(2, **asked)
    with refused("ResourceInUseException"):
        amazon.client.start_application(ApplicationName="prod.loyalty")


@pytest.mark.parametrize(
    "properties",
    [{f"p{n}": "v" for n in range(51)}, {"p": "v" * 2049}, {}],
    ids=["too many", "too long", "none"],
)
def test_property_groups_have_limits(amazon, properties):
    groups = {"PropertyGroups": [{"PropertyGroupId": "tillstream", "PropertyMap": properties}]}
    with refused("InvalidArgumentException"):
        amazon.client.create_application(**request(EnvironmentProperties=groups))


def test_names_runtimes_and_what_is_there_already_are_refused(amazon):
    with refused("InvalidArgumentException"):
        amazon.client.create_application(**request("a name"))
    with refused("InvalidArgumentException"):
        amazon.client.create_application(**{**request(), "RuntimeEnvironment": "FLINK-2_9"})
    amazon.client.create_application(**request())
    with refused("ResourceInUseException"):
        amazon.client.create_application(**request())


def test_more_than_64_kpus_and_missing_code_are_refused(amazon):
    wide = {"ParallelismConfiguration": {"ConfigurationType": "CUSTOM", "Parallelism": 65,
                                         "ParallelismPerKPU": 1}}  # fmt: skip
    with refused("LimitExceededException"):
        amazon.client.create_application(**request(FlinkApplicationConfiguration=wide))
    amazon.flink.code = lambda bucket, key: None
    with refused("InvalidArgumentException"):
        amazon.client.create_application(**request())


def test_code_of_more_than_512_mib_is_refused(amazon):
    class Large(bytes):
        def __len__(self) -> int:
            return 512 * 2**20 + 1

    amazon.flink.code = lambda bucket, key: Large(b"")
    with refused("CodeValidationException"):
        amazon.client.create_application(**request())


def test_snapshots_are_of_what_runs_have_one_name_each_and_a_limit(amazon):
    take = amazon.client.create_application_snapshot
    named = {"ApplicationName": "prod.loyalty", "SnapshotName": "one"}
    amazon.client.create_application(**request())
    with refused("ResourceInUseException"):
        take(**named)
    amazon.client.start_application(ApplicationName="prod.loyalty")
    amazon.clock.sleep(60)
    take(**named)
    with refused("InvalidArgumentException"):
        take(**named)
    details = amazon.client.describe_application_snapshot(**named)["SnapshotDetails"]
    assert details["SnapshotStatus"] == "CREATING"
    kept = amazon.flink.applications["prod.loyalty"].snapshots
    for n in range(MOST_SNAPSHOTS - 1):
        kept[f"s{n}"] = kept["one"]
    with refused("LimitExceededException"):
        take(**{**named, "SnapshotName": "two"})


def test_a_restore_is_from_a_snapshot_that_is_there(amazon):
    amazon.client.create_application(**request())
    for restore in (
        {"ApplicationRestoreType": "RESTORE_FROM_CUSTOM_SNAPSHOT", "SnapshotName": "none"},
        {"ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT", "SnapshotName": "one"},
    ):
        with refused("InvalidArgumentException"):
            amazon.client.start_application(
                ApplicationName="prod.loyalty",
                RunConfiguration={"ApplicationRestoreConfiguration": restore},
            )
    assert amazon.status() == "READY"


def test_an_update_of_what_runs_that_does_not_start_is_rolled_back_by_the_service_if_enabled(
    amazon,
):
    amazon.started()
    amazon.engine.fault = lambda launch: (
        "fails" if launch.properties["tillstream"]["a"] == "c" else ""
    )
    groups = [{"PropertyGroupId": "tillstream", "PropertyMap": {"a": "c"}}]
    changed = {"EnvironmentPropertyUpdates": {"PropertyGroups": groups}}
    amazon.update(ApplicationConfigurationUpdate=changed)
    seen = []
    for _ in range(12):
        seen.append(amazon.status())
        amazon.clock.sleep(10)
    assert list(dict.fromkeys(seen)) == ["UPDATING", "ROLLING_BACK", "RUNNING"]
    detail = amazon.client.describe_application(ApplicationName="prod.loyalty")["ApplicationDetail"]
    assert (
        detail["ApplicationVersionRolledBackFrom"],
        detail["ApplicationVersionRolledBackTo"],
    ) == (2, 1)
    operations = amazon.client.list_application_operations(ApplicationName="prod.loyalty")
    failed = [
        o for o in operations["ApplicationOperationInfoList"] if o["OperationStatus"] == "FAILED"
    ]
    assert [o["Operation"] for o in failed] == ["UpdateApplication"]


def test_an_update_whose_state_does_not_fit_looks_like_a_success(amazon):
    amazon.started()
    amazon.engine.fault = lambda launch: "loops"
    amazon.update(RunConfigurationUpdate={}, ServiceExecutionRoleUpdate="arn:aws:iam::1:role/other")
    amazon.clock.sleep(60)
    amazon.status()
    amazon.clock.sleep(60)
    assert amazon.status() == "RUNNING"


def test_a_rollback_by_hand_needs_a_snapshot(amazon):
    amazon.started()
    with refused("InvalidRequestException"):
        amazon.client.rollback_application(
            ApplicationName="prod.loyalty", CurrentApplicationVersionId=1
        )


def test_only_what_is_stopped_is_deleted_and_by_its_time(amazon):
    amazon.client.create_application(**request())
    created = amazon.client.describe_application(ApplicationName="prod.loyalty")[
        "ApplicationDetail"
    ]["CreateTimestamp"]
    amazon.client.delete_application(ApplicationName="prod.loyalty", CreateTimestamp=created)
    with refused("ResourceNotFoundException"):
        amazon.status()


def test_lists_come_in_pages(amazon):
    for n in range(3):
        amazon.client.create_application(**request(f"prod.job{n}"))
    first = amazon.client.list_applications(Limit=2)
    rest = amazon.client.list_applications(Limit=2, NextToken=first["NextToken"])
    names = [
        one["ApplicationName"] for page in (first, rest) for one in page["ApplicationSummaries"]
    ]
    assert names == ["prod.job0", "prod.job1", "prod.job2"]


# What moto says otherwise: a new application is STARTING there, its details leave out its name, and it makes
# up times, ids and checksums of its own.
OTHERWISE = {"ApplicationStatus", "CreateTimestamp", "LastUpdateTimestamp", "ConditionalToken",
             "ApplicationVersionCreateTimestamp", "ApplicationMaintenanceConfigurationDescription",
             "ApplicationDescription", "VpcConfigurationId", "CloudWatchLoggingOptionId", "CodeMD5",
             "CodeSize", "ApplicationName", "RunConfigurationDescription",
             "CheckpointConfigurationDescription", "MonitoringConfigurationDescription"}  # fmt: skip


def told(answer: Any) -> Any:
    """Without what differs by intent."""
    if isinstance(answer, dict):
        return {k: told(v) for k, v in answer.items() if k not in OTHERWISE | {"ResponseMetadata"}}
    return [told(one) for one in answer] if isinstance(answer, list) else answer


def test_create_describe_and_list_are_answered_as_moto_does(amazon):
    with mock_aws():
        moto = boto3.client("kinesisanalyticsv2", REGION)
        answers = [
            (
                told(client.create_application(**request())),
                told(client.describe_application(ApplicationName="prod.loyalty")),
                told(client.list_applications()["ApplicationSummaries"]),
            )
            for client in (amazon.client, moto)
        ]
    assert answers[0] == answers[1]
