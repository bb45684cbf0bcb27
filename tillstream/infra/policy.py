"""What a job's role may do: what its entry in the catalogue takes, and what the service itself does for it.

`grants` says of each permission what it is there for. docs/infrastructure.md lists the few whose resource
ends with an asterisk, and why.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tillstream.catalog import topics
from tillstream.catalog.entry import Job
from tillstream.catalog.resources import History, Topic
from tillstream.conf import Conf
from tillstream.infra.names import (
    LOG_STREAM,
    Json,
    arn,
    bucket_arn,
    code_bucket,
    code_prefix,
    imported,
    kafka_arn,
    log_group,
    objects_arn,
    ref,
    stream_arn,
    sub,
    table_arn,
)

SERVICE = "the service"
REPLAYED = "replay"  # begins the topics that a replay makes


class Grant(NamedTuple):
    """``name``: of the statement. ``because``: things of the entry, such as ``topic notices``, or
    ``SERVICE``. ``condition``: in IAM's form."""

    name: str
    actions: tuple[str, ...]
    resources: tuple[Json | str, ...]
    because: tuple[str, ...]
    condition: Json | None = None


class ReadTopic(NamedTuple):
    """``id``: in the catalogue, or in settings (source.kafka)."""

    id: str
    name: str


def read_topics(conf: Conf, job: Job) -> list[ReadTopic]:
    """Kafka topics that the job reads."""
    found = []
    if job.transactions and job.raw and conf.source.kind == "kafka":
        found.append(ReadTopic("source.kafka", conf.source.kafka.topic))
    elif job.transactions and not job.raw:
        read = conf.transactions.kafka.topic or conf.topic(topics.TRANSACTIONS)
        found.append(ReadTopic(topics.TRANSACTIONS.id, read))
    return found + [ReadTopic(one.id, conf.topic(one)) for one in job.reads]


def reads_kinesis(conf: Conf, job: Job) -> bool:
    return job.transactions and job.raw and conf.source.kind == "kinesis"


def grants(conf: Conf, job: Job) -> list[Grant]:
    """All that the job's role may do."""
    return [
        *_kinesis(conf, job),
        *_kafka(conf, job),
        *_dynamodb(conf, job),
        *_s3(conf, job),
        *_keys(conf, job),
        *_service(conf, job),
    ]


def document(conf: Conf, job: Job) -> Json:
    """The policy of the job's role."""
    return {"Version": "2012-10-17", "Statement": [_statement(one) for one in grants(conf, job)]}


def trust(application: Json) -> Json:
    """Who may take the role: the service, for this one application."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "kinesisanalytics.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")},
                    "ArnEquals": {"aws:SourceArn": application},
                },
            }
        ],
    }


def _statement(grant: Grant) -> Json:
    made: Json = {
        "Sid": grant.name,
        "Effect": "Allow",
        "Action": list(grant.actions),
        "Resource": list(grant.resources),
    }
    return made | ({"Condition": grant.condition} if grant.condition else {})


def _kinesis(conf: Conf, job: Job) -> Iterable[Grant]:
    """The source's four calls, see Stream.java."""
    if reads_kinesis(conf, job):
        names = ("DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards")
        calls = tuple(f"kinesis:{name}" for name in names)
        yield Grant("ReadTheStream", calls, (stream_arn(conf),), ("stream of the tills",))


def _kafka(conf: Conf, job: Job) -> Iterable[Grant]:
    read = read_topics(conf, job)
    written = [one for one in job.writes if isinstance(one, Topic)]
    reading = tuple(f"topic {one.id}" for one in read)
    writing = tuple(f"topic {one.id}" for one in written)
    if not read and not written:
        return
    # Producers are idempotent all.
    connect = (
        "kafka-cluster:Connect",
        *(["kafka-cluster:WriteDataIdempotently"] if written else []),
    )
    yield Grant("Kafka", connect, (kafka_arn("cluster"),), reading + writing)
    if read:
        names = tuple(kafka_arn("topic", one.name) for one in read)
        yield Grant(
            "ReadTopics", ("kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"), names, reading
        )
        if job.transactions:
            # What a replay fills out of the archive, see `replay.phases`.
            own = (kafka_arn("topic", f"{REPLAYED}-{job.name}-*"),)
            yield Grant(
                "ReadReplays",
                ("kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"),
                own,
                reading[:1],
            )
        group = (kafka_arn("group", conf.own_name(job.name)),)
        yield Grant(
            "CommitPositions", ("kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"), group,
            reading,
        )  # fmt: skip
    if written:
        names = tuple(kafka_arn("topic", conf.topic(one)) for one in written)
        yield Grant(
            "WriteTopics",
            ("kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"),
            names,
            writing,
        )
    once = [one for one in written if exactly_once(conf, one)]
    if once:
        # Of a sink's uid, a subtask and a checkpoint each.
        ids = (kafka_arn("transactional-id", f"{conf.own_name(job.name)}.*"),)
        actions = ("kafka-cluster:AlterTransactionalId", "kafka-cluster:DescribeTransactionalId")
        yield Grant("Transactions", actions, ids, tuple(f"topic {one.id}" for one in once))


def exactly_once(conf: Conf, topic: Topic) -> bool:
    """Whether it is written in transactions; as ``connectors.kafka`` decides."""
    said = topic.guarantee
    return said == "exactly-once" or (said, conf.kafka.delivery) == ("configured", "exactly-once")


def _dynamodb(conf: Conf, job: Job) -> Iterable[Grant]:
    """HotItemWriter.java: an item is changed where the table merges, else put; both with a condition."""
    for merges, name, action in (
        (False, "PutItems", "dynamodb:PutItem"),
        (True, "ChangeItems", "dynamodb:UpdateItem"),
    ):
        tables = [one for one in job.tables if one.merge is merges]
        if tables:
            arns = tuple(table_arn(conf, one) for one in tables)
            yield Grant(name, (action,), arns, tuple(f"table {one.id}" for one in tables))


def _s3(conf: Conf, job: Job) -> Iterable[Grant]:
    """The file sink: uploads in parts, closed at a checkpoint. It deletes what it has replaced."""
    if not job.histories:
        return
    because = tuple(_history(one) for one in job.histories)
    actions = ("AbortMultipartUpload", "DeleteObject", "GetObject", "ListMultipartUploadParts",
               "PutObject")  # fmt: skip
    objects = tuple(objects_arn(conf, one) for one in job.histories)
    yield Grant("WriteFiles", tuple(f"s3:{one}" for one in actions), objects, because)
    prefixes = sorted(conf.prefix(one) for one in job.histories)
    only = {"s3:prefix": [at for one in prefixes for at in (one, f"{one}/*")]}
    bucket = (bucket_arn(conf.s3.bucket),)
    yield Grant("ListFiles", ("s3:ListBucket",), bucket, because, {"StringLike": only})


def _history(history: History) -> str:
    return f"history {history.id}"


def _keys(conf: Conf, job: Job) -> Iterable[Grant]:
    """The key of the data, by way of the services that keep it."""
    key = (imported(conf, "DataKeyArn"),)
    decrypting: dict[str, tuple[str, ...]] = {"s3": (SERVICE,)}  # the code
    if reads_kinesis(conf, job):
        decrypting["kinesis"] = ("stream of the tills",)
    if job.tables:
        decrypting["dynamodb"] = tuple(f"table {one.id}" for one in job.tables)
    yield Grant(
        "ReadWithTheKey", ("kms:Decrypt",), key,
        tuple(why for those in decrypting.values() for why in those), _via(sorted(decrypting)),
    )  # fmt: skip
    if job.histories:
        because = tuple(_history(one) for one in job.histories)
        yield Grant("WriteWithTheKey", ("kms:GenerateDataKey",), key, because, _via(["s3"]))


def _via(services: list[str]) -> Json:
    names = [sub(f"{one}.${{AWS::Region}}.${{AWS::URLSuffix}}") for one in services]
    return {"StringEquals": {"kms:ViaService": names}}


def _service(conf: Conf, job: Job) -> Iterable[Grant]:
    """What Amazon's service does with the role by itself: fetch the code, log, and reach into the VPC."""
    code = (bucket_arn(code_bucket(conf), f"/{code_prefix(job.name)}*"),)
    yield Grant("ReadCode", ("s3:GetObject", "s3:GetObjectVersion"), code, (SERVICE,))
    group = log_group(conf, job.name)
    stream = (arn("logs", f"log-group:{group}:log-stream:{LOG_STREAM}"),)
    yield Grant("Log", ("logs:PutLogEvents",), stream, (SERVICE,))
    yield Grant(
        "FindTheLog", ("logs:DescribeLogStreams",), (arn("logs", f"log-group:{group}"),), (SERVICE,)
    )
    yield from _network()


def _network() -> Iterable[Grant]:
    here = {"aws:RequestedRegion": ref("AWS::Region")}
    look = ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
    # These five and DescribeLogGroups know no resources, and only look.
    yield Grant(
        "Look", (*(f"ec2:Describe{one}" for one in look), "logs:DescribeLogGroups"), ("*",),
        (SERVICE,), {"StringEquals": here},
    )  # fmt: skip
    interface = arn("ec2", "network-interface/*")
    create = ("ec2:CreateNetworkInterface",)
    # An interface has no name before it is made. It can be made in these subnets, with these groups only.
    yield Grant("MakeInterfaces", create, (interface,), (SERVICE,), {"StringEquals": here})
    for kind, name, key, parameter in (
        ("subnet", "InSubnets", "ec2:SubnetID", "Subnets"),
        ("security-group", "WithGroups", "ec2:SecurityGroupID", "SecurityGroups"),
    ):
        only = {"StringEquals": {key: ref(parameter)}}
        yield Grant(name, create, (arn("ec2", f"{kind}/*"),), (SERVICE,), only)
    vpc = {"ArnEquals": {"ec2:Vpc": arn("ec2", "vpc/${Vpc}")}}
    use = ("ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface")
    yield Grant("UseInterfaces", use, (interface,), (SERVICE,), vpc)
