"""What the service remembers of an application, and how DescribeApplication says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]


@dataclass
class Snapshot:
    name: str
    version: int
    created: datetime
    runtime: str


@dataclass
class Operation:
    id: str
    kind: str
    began: datetime
    status: str = "IN_PROGRESS"
    ended: datetime | None = None
    error: str = ""


@dataclass
class Application:
    name: str
    created: datetime
    status: str
    versions: list[Json]  # what each version is, the first is 1
    run: str = ""
    operations: list[Operation] = field(default_factory=list)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    run_configuration: Json = field(default_factory=dict)
    proven: int = 0  # the last version that has run
    then: Callable[[], None] | None = None  # what follows once the engine has stopped
    rolled: dict[str, int] = field(default_factory=dict)

    @property
    def version(self) -> int:
        return len(self.versions)

    @property
    def now(self) -> Json:
        return self.versions[-1]


def detail(one: Application, arn: str) -> Json:
    """``None`` values are left out on their way."""
    now = one.now
    parallelism = now["parallelism"]
    described: Json = {
        "EnvironmentPropertyDescriptions": {"PropertyGroupDescriptions": now["properties"]},
        "ApplicationSnapshotConfigurationDescription": {"SnapshotsEnabled": now["snapshots"]},
        "ApplicationSystemRollbackConfigurationDescription": {"RollbackEnabled": now["rollback"]},
        "FlinkApplicationConfigurationDescription": {
            "CheckpointConfigurationDescription": now["checkpoints"],
            "MonitoringConfigurationDescription": now["monitoring"],
            "ParallelismConfigurationDescription": {
                **parallelism,
                "CurrentParallelism": parallelism["Parallelism"],
            },
        },
        "VpcConfigurationDescriptions": now["vpc"],
        "RunConfigurationDescription": one.run_configuration or None,
    }
    if now["code"]:
        content = now["code"]["CodeContent"]["S3ContentLocation"]
        described["ApplicationCodeConfigurationDescription"] = {
            "CodeContentType": now["code"]["CodeContentType"],
            "CodeContentDescription": {"S3ApplicationCodeLocationDescription": content},
        }
    return {
        "ApplicationARN": arn,
        "ApplicationDescription": now["description"],
        "ApplicationName": one.name,
        "RuntimeEnvironment": now["runtime"],
        "ServiceExecutionRole": now["role"],
        "ApplicationStatus": one.status,
        "ApplicationVersionId": one.version,
        "CreateTimestamp": one.created,
        "LastUpdateTimestamp": one.created,
        "ApplicationConfigurationDescription": described,
        "CloudWatchLoggingOptionDescriptions": now["logs"],
        "ApplicationMode": "STREAMING",
        **one.rolled,
    }
