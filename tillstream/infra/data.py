"""The stack of what keeps data: the tills' stream, tables, buckets, topics of notices, their keys.

Everything in it stays when the stack or the resource is deleted, and a policy of the stack forbids
CloudFormation to replace or delete it.
"""

from __future__ import annotations

from collections.abc import Iterable

from tillstream.catalog.resources import Column, Table
from tillstream.conf import Conf
from tillstream.infra.names import (
    Json,
    attribute,
    bucket_arn,
    code_bucket,
    exported,
    logical,
    ref,
    sub,
)

KEY = "KeyData"
RETAINED = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
# Open uploads belong to savepoints, see `_bucket`.
SAVEPOINT_SLACK_DAYS = 7


def template(conf: Conf, tables: Iterable[Table]) -> Json:
    """The template. Every resource in it is stateful."""
    resources: Json = {KEY: data_key(), "AliasData": alias(conf, "data", KEY)}
    if conf.source.kind == "kinesis":
        resources["StreamTills"] = _stream(conf)
    for table in tables:
        resources[logical("table", table.id)] = _table(conf, table)
    resources |= _buckets(conf)
    for kind, arn in sorted(conf.notify.sns_topics.items()):
        resources[logical("notices", kind)] = _notices(arn.rpartition(":")[2])
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Tillstream {conf.deployment}: what keeps data",
        "Resources": {name: one | RETAINED for name, one in resources.items()},
        "Outputs": _outputs(conf),
    }


def stack_policy() -> Json:
    """For `aws cloudformation set-stack-policy`: updates yes, replacing and deleting no."""
    everything = {"Principal": "*", "Resource": "*"}
    return {
        "Statement": [
            {"Effect": "Allow", "Action": "Update:*", **everything},
            {"Effect": "Deny", "Action": ["Update:Replace", "Update:Delete"], **everything},
        ]
    }


def account_statement() -> Json:
    """Without it nobody, not even the account's owner, could change the key again; roles of the account
    may use it as far as their own policies allow."""
    return {
        "Sid": "Account",
        "Effect": "Allow",
        "Principal": {"AWS": sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")},
        "Action": "kms:*",
        "Resource": "*",  # of a key's own policy: this key
    }


def data_key() -> Json:
    return {
        "Type": "AWS::KMS::Key",
        "Properties": {
            "Description": "Tillstream: stream, tables, files, notices",
            "EnableKeyRotation": True,
            "PendingWindowInDays": 30,
            "KeyPolicy": {"Version": "2012-10-17", "Statement": [account_statement()]},
        },
    }


def alias(conf: Conf, what: str, key: str) -> Json:
    name = f"alias/{exported(conf, what)}"
    properties = {"AliasName": name, "TargetKeyId": ref(key)}
    return {"Type": "AWS::KMS::Alias", "Properties": properties}


def _stream(conf: Conf) -> Json:
    settings = conf.infra.stream
    properties: Json = {}
    if settings.shards is None:
        properties["StreamModeDetails"] = {"StreamMode": "ON_DEMAND"}
    else:
        properties |= {
            "StreamModeDetails": {"StreamMode": "PROVISIONED"},
            "ShardCount": settings.shards,
        }
    return {
        "Type": "AWS::Kinesis::Stream",
        "Properties": {
            "Name": conf.source.kinesis.stream,
            "RetentionPeriodHours": settings.retention_hours,
            "StreamEncryption": {"EncryptionType": "KMS", "KeyId": attribute(KEY)},
            **properties,
        },
    }


def _table(conf: Conf, table: Table) -> Json:
    columns = dict((*table.key, *(table.index.key if table.index else ())))
    properties: Json = {
        "TableName": conf.table(table),
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _key(table.key),
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind} for name, kind in columns.items()
        ],
        "DeletionProtectionEnabled": True,
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "SSESpecification": {
            "SSEEnabled": True,
            "SSEType": "KMS",
            "KMSMasterKeyId": attribute(KEY),
        },
    }
    warm = conf.infra.warm_tables.get(table.id)
    throughput: Json = {}
    if warm:
        throughput["WarmThroughput"] = {
            "ReadUnitsPerSecond": warm.reads_per_second,
            "WriteUnitsPerSecond": warm.writes_per_second,
        }
    if table.index:
        properties["GlobalSecondaryIndexes"] = [
            {
                "IndexName": table.index.name,
                "KeySchema": _key(table.index.key),
                "Projection": {"ProjectionType": "ALL"},
            }
        ]
    if table.streamed:
        properties["StreamSpecification"] = {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    if table.ttl:
        properties["TimeToLiveSpecification"] = {"AttributeName": table.ttl, "Enabled": True}
    return {"Type": "AWS::DynamoDB::Table", "Properties": properties | throughput}


def _key(columns: tuple[Column, ...]) -> list[Json]:
    return [
        {"AttributeName": name, "KeyType": role}
        for (name, _), role in zip(columns, ("HASH", "RANGE"), strict=False)
    ]


def _buckets(conf: Conf) -> Json:
    files = conf.infra.files
    # What a checkpoint has written and not yet closed is an open upload that a savepoint names: it has to
    # live as long as the oldest savepoint that is kept.
    open_days = conf.savepoints.daily_for_days + SAVEPOINT_SLACK_DAYS
    kept = {"NoncurrentVersionExpiration": {"NoncurrentDays": files.deleted_kept_days}}
    colder = [
        {"StorageClass": "STANDARD_IA", "TransitionInDays": files.infrequent_after_days},
        {"StorageClass": "GLACIER_IR", "TransitionInDays": files.archive_after_days},
    ]
    histories = [
        _rule("colder", Transitions=colder),
        _rule("deleted", **kept, ExpiredObjectDeleteMarker=True),
        _rule("open-uploads", AbortIncompleteMultipartUpload={"DaysAfterInitiation": open_days}),
    ]
    # Every version of the code stays: a rollback names one.
    code = [_rule("open-uploads", AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7})]
    return {
        "BucketData": _bucket(conf.s3.bucket, histories),
        "BucketDataPolicy": _tls_only("BucketData", conf.s3.bucket),
        "BucketCode": _bucket(code_bucket(conf), code),
        "BucketCodePolicy": _tls_only("BucketCode", code_bucket(conf)),
    }


def _rule(name: str, **what: object) -> Json:
    return {"Id": name, "Status": "Enabled", **what}


def _bucket(name: str, rules: list[Json]) -> Json:
    by_default = {
        "BucketKeyEnabled": True,
        "ServerSideEncryptionByDefault": {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": attribute(KEY),
        },
    }
    blocked = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    return {
        "Type": "AWS::S3::Bucket",
        "Properties": {
            "BucketName": name,
            "BucketEncryption": {"ServerSideEncryptionConfiguration": [by_default]},
            "LifecycleConfiguration": {"Rules": rules},
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "PublicAccessBlockConfiguration": dict.fromkeys(blocked, True),
            "VersioningConfiguration": {"Status": "Enabled"},
        },
    }


def _tls_only(bucket: str, name: str) -> Json:
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn(name), bucket_arn(name, "/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {
            "Bucket": ref(bucket),
            "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        },
    }


def _notices(name: str) -> Json:
    fifo = {"FifoTopic": True} if name.endswith(".fifo") else {}
    return {
        "Type": "AWS::SNS::Topic",
        "Properties": {"TopicName": name, "KmsMasterKeyId": ref(KEY), **fifo},
    }


def _outputs(conf: Conf) -> Json:
    """What the other stack and `deploy` go by. Names of tables and topics are those of the settings."""
    values = {
        "DataKeyArn": attribute(KEY),
        "DataBucket": ref("BucketData"),
        "CodeBucket": ref("BucketCode"),
    }
    return {
        name: {"Value": value, "Export": {"Name": exported(conf, name)}}
        for name, value in values.items()
    }
