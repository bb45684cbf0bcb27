"""The stack of what the jobs run with: roles, logs, alarms, the dashboard. Nothing in it keeps data.

The applications are not in it: CloudFormation updates them without a snapshot that fits, and has lost
state so. `deploy` makes them, from this stack's outputs.
"""

from __future__ import annotations

from collections.abc import Iterable

from tillstream.catalog.entry import Job
from tillstream.conf import Conf
from tillstream.infra import alarms, dashboard, policy
from tillstream.infra.data import account_statement, alias
from tillstream.infra.names import (
    LOG_STREAM,
    Json,
    application_arn,
    attribute,
    exported,
    log_group,
    logical,
    ref,
    sub,
)

KEY = "KeyOperations"
PARAMETERS: Json = {
    "KafkaName": {
        "Type": "String",
        "Description": "Name of the MSK cluster: of its ARN what is after cluster/",
        "AllowedPattern": "[A-Za-z0-9-]+",
    },
    "KafkaUuid": {
        "Type": "String",
        "Description": "Of the cluster's ARN what is after its name",
        "AllowedPattern": "[A-Za-z0-9-]+",
    },
    "Vpc": {"Type": "AWS::EC2::VPC::Id", "Description": "Where the brokers are"},
    "Subnets": {
        "Type": "List<AWS::EC2::Subnet::Id>",
        "Description": "Where the applications reach into the VPC, one per zone of the brokers",
    },
    "SecurityGroups": {
        "Type": "List<AWS::EC2::SecurityGroup::Id>",
        "Description": "Of the applications: port 9098 of the brokers and 443 out",
    },
}


def template(conf: Conf, jobs: Iterable[Job]) -> Json:
    """The template."""
    listed = list(jobs)
    resources: Json = {
        KEY: _key(),
        "AliasOperations": alias(conf, "operations", KEY),
        "TopicAlarms": {
            "Type": "AWS::SNS::Topic",
            "Properties": {"TopicName": exported(conf, "alarms"), "KmsMasterKeyId": ref(KEY)},
        },
        "TopicAlarmsPolicy": _from_alarms(),
    }
    for job in listed:
        resources |= _job(conf, job)
    for alarm in alarms.alarms(conf, listed):
        resources[alarms.logical_id(alarm)] = alarms.resource(conf, alarm)
    resources["Dashboard"] = dashboard.resource(conf, listed)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Tillstream {conf.deployment}: roles, logs and alarms of the jobs",
        "Parameters": PARAMETERS,
        "Resources": resources,
        "Outputs": _outputs(conf, listed),
    }


def _key() -> Json:
    """Logs and alarms are encrypted by services, which go by the key's own policy."""
    logs = sub("arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:*")
    statements = [
        account_statement(),
        {
            "Sid": "Logs",
            "Effect": "Allow",
            "Principal": {"Service": sub("logs.${AWS::Region}.${AWS::URLSuffix}")},
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*",
                       "kms:DescribeKey"],
            "Resource": "*",
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": logs}},
        },
        {
            "Sid": "Alarms",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}},
        },
    ]  # fmt: skip
    return {
        "Type": "AWS::KMS::Key",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "Description": "Tillstream: logs and alarms",
            "EnableKeyRotation": True,
            "PendingWindowInDays": 30,
            "KeyPolicy": {"Version": "2012-10-17", "Statement": statements},
        },
    }


def _from_alarms() -> Json:
    statement = {
        "Sid": "Alarms",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": ref("TopicAlarms"),
        "Condition": {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}},
    }
    return {
        "Type": "AWS::SNS::TopicPolicy",
        "Properties": {
            "Topics": [ref("TopicAlarms")],
            "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        },
    }


def _job(conf: Conf, job: Job) -> Json:
    group = logical("log", job.name)
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "Description": f"Tillstream {conf.deployment}: the job {job.name}",
            "AssumeRolePolicyDocument": policy.trust(application_arn(conf, job)),
            "Policies": [{"PolicyName": "catalogue", "PolicyDocument": policy.document(conf, job)}],
        },
    }
    # Kept when the job goes: who looks for a fault of yesterday needs it.
    logs = {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "LogGroupName": log_group(conf, job.name),
            "RetentionInDays": conf.infra.log_days,
            "KmsKeyId": attribute(KEY),
        },
    }
    stream = {
        "Type": "AWS::Logs::LogStream",
        "Properties": {"LogGroupName": ref(group), "LogStreamName": LOG_STREAM},
    }
    return {logical("role", job.name): role, group: logs, f"{group}Stream": stream}


def _outputs(conf: Conf, jobs: list[Job]) -> Json:
    """What `deploy` makes an application with."""
    outputs: Json = {}
    for job in jobs:
        stream = f"log-group:{log_group(conf, job.name)}:log-stream:{LOG_STREAM}"
        outputs[logical("role", job.name)] = {"Value": attribute(logical("role", job.name))}
        outputs[logical("log", job.name)] = {
            "Value": sub(
                f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:{stream}"
            )
        }
    for name in ("Subnets", "SecurityGroups"):
        outputs[name] = {"Value": {"Fn::Join": [",", ref(name)]}}
    outputs["TopicAlarms"] = {"Value": ref("TopicAlarms")}
    return outputs
