"""An application's configuration: as CreateApplication makes it, and as UpdateApplication changes it."""

from __future__ import annotations

import copy
from typing import Any

Json = dict[str, Any]

DEFAULT_CHECKPOINTS = {
    "ConfigurationType": "DEFAULT",
    "CheckpointingEnabled": True,
    "CheckpointInterval": 60_000,
    "MinPauseBetweenCheckpoints": 5_000,
}
DEFAULT_MONITORING = {
    "ConfigurationType": "DEFAULT",
    "MetricsLevel": "APPLICATION",
    "LogLevel": "INFO",
}
DEFAULT_PARALLELISM = {
    "ConfigurationType": "DEFAULT",
    "Parallelism": 1,
    "ParallelismPerKPU": 1,
    "AutoScalingEnabled": True,
}


def created(request: Json) -> Json:
    asked = request.get("ApplicationConfiguration", {})
    flink = asked.get("FlinkApplicationConfiguration", {})
    made: Json = {
        "runtime": request["RuntimeEnvironment"],
        "role": request["ServiceExecutionRole"],
        "description": request.get("ApplicationDescription"),
        "code": asked.get("ApplicationCodeConfiguration"),
        "properties": asked.get("EnvironmentProperties", {}).get("PropertyGroups", []),
        "checkpoints": flink.get("CheckpointConfiguration", DEFAULT_CHECKPOINTS),
        "monitoring": flink.get("MonitoringConfiguration", DEFAULT_MONITORING),
        "parallelism": flink.get("ParallelismConfiguration", DEFAULT_PARALLELISM),
        "snapshots": asked.get("ApplicationSnapshotConfiguration", {}).get(
            "SnapshotsEnabled", False
        ),
        "rollback": asked.get("ApplicationSystemRollbackConfiguration", {}).get(
            "RollbackEnabled", False
        ),
        "vpc": [
            {"VpcConfigurationId": f"{n}.1", "VpcId": "vpc-0123456789abcdef0", **vpc}
            for n, vpc in enumerate(asked.get("VpcConfigurations", []), 1)
        ],
        "logs": [
            {"CloudWatchLoggingOptionId": f"{n}.1", **option}
            for n, option in enumerate(request.get("CloudWatchLoggingOptions", []), 1)
        ],
    }
    return made


def changed(now: Json, request: Json) -> Json:
    made = copy.deepcopy(now)
    asked = request.get("ApplicationConfigurationUpdate", {})
    made["runtime"] = request.get("RuntimeEnvironmentUpdate", made["runtime"])
    made["role"] = request.get("ServiceExecutionRoleUpdate", made["role"])
    if code := asked.get("ApplicationCodeConfigurationUpdate"):
        content = code.get("CodeContentUpdate", {}).get("S3ContentLocationUpdate", {})
        location = made["code"]["CodeContent"]["S3ContentLocation"]
        location |= {name.removesuffix("Update"): value for name, value in content.items()}
    if "EnvironmentPropertyUpdates" in asked:
        made["properties"] = asked["EnvironmentPropertyUpdates"]["PropertyGroups"]
    flink = asked.get("FlinkApplicationConfigurationUpdate", {})
    for name, key in (("Checkpoint", "checkpoints"), ("Monitoring", "monitoring"),
                      ("Parallelism", "parallelism")):  # fmt: skip
        change = flink.get(f"{name}ConfigurationUpdate", {})
        made[key] = {**made[key], **{k.removesuffix("Update"): v for k, v in change.items()}}
    if "ApplicationSnapshotConfigurationUpdate" in asked:
        made["snapshots"] = asked["ApplicationSnapshotConfigurationUpdate"][
            "SnapshotsEnabledUpdate"
        ]
    if "ApplicationSystemRollbackConfigurationUpdate" in asked:
        made["rollback"] = asked["ApplicationSystemRollbackConfigurationUpdate"][
            "RollbackEnabledUpdate"
        ]
    for change in asked.get("VpcConfigurationUpdates", []):
        for vpc in made["vpc"]:
            if vpc["VpcConfigurationId"] == change["VpcConfigurationId"]:
                vpc["SubnetIds"] = change.get("SubnetIdUpdates", vpc["SubnetIds"])
                vpc["SecurityGroupIds"] = change.get(
                    "SecurityGroupIdUpdates", vpc["SecurityGroupIds"]
                )
    return made
