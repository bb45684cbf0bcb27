"""Requests of the API, from what is wanted: pure."""

from __future__ import annotations

from typing import Any

from tillstream.deploy.plan import Config, config_of
from tillstream.deploy.service import Application

Json = dict[str, Any]


def create(name: str, config: Config) -> Json:
    """Of CreateApplication. Snapshots are on; who rolls back is us alone, so the service's own is off, and
    so is its autoscaling, which restarts a job whenever it likes."""
    request: Json = {
        "ApplicationName": name,
        "ApplicationDescription": "Tillstream; made by `tillstream deploy`",
        "RuntimeEnvironment": config.runtime,
        "ServiceExecutionRole": config.role,
        "ApplicationMode": "STREAMING",
        "ApplicationConfiguration": {
            "ApplicationCodeConfiguration": {
                "CodeContentType": "ZIPFILE",
                "CodeContent": {
                    "S3ContentLocation": {
                        "BucketARN": _bucket(config.bucket),
                        "FileKey": config.key,
                    }
                },
            },
            "EnvironmentProperties": {"PropertyGroups": groups(config)},
            "FlinkApplicationConfiguration": {
                "CheckpointConfiguration": {
                    "ConfigurationType": "CUSTOM",
                    "CheckpointingEnabled": True,
                    "CheckpointInterval": config.checkpoint_interval_ms,
                    "MinPauseBetweenCheckpoints": config.checkpoint_pause_ms,
                },
                "MonitoringConfiguration": {
                    "ConfigurationType": "CUSTOM",
                    "MetricsLevel": "APPLICATION",
                    "LogLevel": "INFO",
                },
                "ParallelismConfiguration": {
                    "ConfigurationType": "CUSTOM",
                    "Parallelism": config.parallelism,
                    "ParallelismPerKPU": config.per_kpu,
                    "AutoScalingEnabled": False,
                },
            },
            "ApplicationSnapshotConfiguration": {"SnapshotsEnabled": True},
            "ApplicationSystemRollbackConfiguration": {"RollbackEnabled": False},
        },
    }
    if config.subnets:
        request["ApplicationConfiguration"]["VpcConfigurations"] = [
            {"SubnetIds": list(config.subnets), "SecurityGroupIds": list(config.security_groups)}
        ]
    if config.log_stream:
        request["CloudWatchLoggingOptions"] = [{"LogStreamARN": config.log_stream}]
    return request


def update(now: Application, config: Config) -> Json:
    """Of UpdateApplication: what differs, {} if nothing does. The log stream and whether the application is
    in a VPC at all are made with it and stay."""
    was = config_of(now)
    request: Json = {}
    inner: Json = {}
    if config.runtime != was.runtime:
        request["RuntimeEnvironmentUpdate"] = config.runtime
    if config.role and config.role != was.role:
        request["ServiceExecutionRoleUpdate"] = config.role
    if (config.bucket, config.key) != (was.bucket, was.key):
        at = {"BucketARNUpdate": _bucket(config.bucket), "FileKeyUpdate": config.key}
        inner["ApplicationCodeConfigurationUpdate"] = {
            "CodeContentUpdate": {"S3ContentLocationUpdate": at}
        }
    if config.properties != was.properties:
        inner["EnvironmentPropertyUpdates"] = {"PropertyGroups": groups(config)}
    flink: Json = {}
    if (config.parallelism, config.per_kpu, False) != (
        was.parallelism,
        was.per_kpu,
        now.autoscaling,
    ):
        flink["ParallelismConfigurationUpdate"] = {
            "ConfigurationTypeUpdate": "CUSTOM",
            "ParallelismUpdate": config.parallelism,
            "ParallelismPerKPUUpdate": config.per_kpu,
            "AutoScalingEnabledUpdate": False,
        }
    times = (config.checkpoint_interval_ms, config.checkpoint_pause_ms)
    if times != (was.checkpoint_interval_ms, was.checkpoint_pause_ms):
        flink["CheckpointConfigurationUpdate"] = {
            "ConfigurationTypeUpdate": "CUSTOM",
            "CheckpointingEnabledUpdate": True,
            "CheckpointIntervalUpdate": times[0],
            "MinPauseBetweenCheckpointsUpdate": times[1],
        }
    if flink:
        inner["FlinkApplicationConfigurationUpdate"] = flink
    if now.networks and config.subnets and (config.subnets, config.security_groups) != (
        was.subnets, was.security_groups
    ):  # fmt: skip
        inner["VpcConfigurationUpdates"] = [
            {
                "VpcConfigurationId": next(iter(now.networks)),
                "SubnetIdUpdates": list(config.subnets),
                "SecurityGroupIdUpdates": list(config.security_groups),
            }
        ]
    if not now.snapshots:
        inner["ApplicationSnapshotConfigurationUpdate"] = {"SnapshotsEnabledUpdate": True}
    if inner:
        request["ApplicationConfigurationUpdate"] = inner
    return request


def groups(config: Config) -> list[Json]:
    return [
        {"PropertyGroupId": group, "PropertyMap": named}
        for group, named in config.properties.items()
    ]


def _bucket(bucket: str) -> str:
    return f"arn:aws:s3:::{bucket}"
