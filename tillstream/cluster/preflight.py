"""What a job needs, checked before it is submitted: each thing missing is one line with its fix."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tillstream.catalog import tables, topics
from tillstream.catalog.entry import Job
from tillstream.clients.flink import FlinkRest
from tillstream.clients.kafka import (
    APPEND_TIME,
    kafka_settings,
    not_append_time,
    unreachable,
)
from tillstream.conf import Conf
from tillstream.jars import jar_set
from tillstream.local import flink_home
from tillstream.local.layout import Layout
from tillstream.local.services import aws, listed

CREATE = "`tillstream up` creates it, or correct the name in conf/"


def problems(
    conf: Conf, job: Job | None, flink: FlinkRest, layout: Layout, slots: int
) -> list[str]:
    """Everything that would keep this job from running; what other jobs lack is not looked at.
    ``job`` None: a file that is not in the catalogue may need anything. ``slots``: how many it needs.
    Raises Unreachable where Flink does not answer."""
    found = []
    if not flink_home.runs_job_jar(layout, jar_set()):
        found.append(
            "the cluster was started with another job jar than is built now: "
            "`tillstream down`, then `tillstream up`"
        )
    found += _slots(flink, slots)
    found += _kafka(conf, job)
    if (job is None or job.transactions) and conf.source.kind == "kinesis":
        found += _asked("Kinesis", conf.source.kinesis.endpoint, lambda: _stream(conf))
    if job is None or job.tables:
        found += _asked("DynamoDB", conf.dynamodb.endpoint, lambda: _tables(conf, job))
    if job is None or job.histories:
        found += _asked("S3", conf.s3.endpoint, lambda: _bucket(conf))
    return found


def _slots(flink: FlinkRest, needed: int) -> list[str]:
    overview = flink.overview()
    free, total = overview["slots-available"], overview["slots-total"]
    if free >= needed:
        return []
    return [
        f"the job needs {needed} slots, {free} of {total} are free: "
        f"`tillstream up --taskmanagers {total - free + needed}`, a smaller --parallelism, "
        "or `tillstream job cancel` another"
    ]


def _kafka(conf: Conf, job: Job | None) -> list[str]:
    brokers: dict[str, list[str]] = {}
    for bootstrap, topic in _needed_topics(conf, job):
        brokers.setdefault(bootstrap, []).append(topic)
    found = []
    for bootstrap, names in brokers.items():
        if not bootstrap:
            found.append("no Kafka broker is set: run `tillstream up`, or set kafka.bootstrap")
            continue
        client = _admin(bootstrap, conf)
        there = _topics_at(client)
        if there is None:
            found.append(f"Kafka at {bootstrap} does not answer: `tillstream up` starts it")
            continue
        found += [
            f"no Kafka topic {name} at {bootstrap}: {CREATE}" for name in names if name not in there
        ]
        if conf.source.require_append_time:
            read = [name for name in names if name in there and name in _read(conf, job)]
            found += [
                f"Kafka topic {name} at {bootstrap} has the producers' times "
                f"(message.timestamp.type={has}): {_alter(bootstrap, name, job)}"
                for name, has in not_append_time(client, read).items()
            ]
    return found


def _alter(bootstrap: str, topic: str, job: Job | None) -> str:
    (setting,) = APPEND_TIME.items()
    return (
        f"`kafka-configs.sh --bootstrap-server {bootstrap} --alter --entity-type topics "
        f"--entity-name {topic} --add-config {'='.join(setting)}`, on the local stack "
        "`tillstream up`, or accept it by "
        f"{job.source if job else 'source'}.require_append_time: false"
    )


def _read(conf: Conf, job: Job | None) -> set[str]:
    """Topics whose times the job goes by."""
    tills = {conf.source.kafka.topic} if job is None or job.transactions else set()
    return tills | {conf.topic(topic) for topic in (job.reads if job else topics.ALL)}


def _needed_topics(conf: Conf, job: Job | None) -> list[tuple[str, str]]:
    needed = [
        (conf.kafka.bootstrap or "", conf.topic(topic))
        for topic in (job.topics if job else topics.ALL)
    ]
    if (job is None or job.transactions) and conf.source.kind == "kafka":
        needed.insert(0, (conf.source.kafka.bootstrap or "", conf.source.kafka.topic))
    return needed


def _admin(bootstrap: str, conf: Conf) -> AdminClient:
    settings = kafka_settings(bootstrap, conf.kafka.properties, conf.region)
    try:
        return AdminClient(settings)
    except KafkaException as error:  # of the settings: nobody was asked yet
        raise unreachable(bootstrap, error.args[0]) from None


def _topics_at(client: AdminClient, timeout_s: float = 5.0) -> set[str] | None:
    try:
        return set(client.list_topics(timeout=timeout_s).topics)
    except KafkaException:
        return None


def _asked(name: str, endpoint: str | None, check: Callable[[], list[str]]) -> list[str]:
    from botocore.exceptions import BotoCoreError, ClientError

    if endpoint is None:
        return []  # AWS itself: the service checks with the application's own role
    try:
        return check()
    except (BotoCoreError, ClientError) as error:
        reason = str(error).splitlines()[0][:120]
        return [f"{name} at {endpoint} does not answer ({reason}): `tillstream up` starts it"]


def _stream(conf: Conf) -> list[str]:
    source = conf.source.kinesis
    client = aws("kinesis", source.endpoint or "")
    try:
        summary = client.describe_stream_summary(StreamName=source.stream)
    except client.exceptions.ResourceNotFoundException:
        return [f"no Kinesis stream {source.stream}: {CREATE}"]
    state = summary["StreamDescriptionSummary"]["StreamStatus"]
    if state in ("ACTIVE", "UPDATING"):
        return []
    return [f"Kinesis stream {source.stream} is {state}: wait until it is ACTIVE, then try again"]


def _tables(conf: Conf, job: Job | None) -> list[str]:
    client = aws("dynamodb", conf.dynamodb.endpoint or "")
    there = listed(client, "list_tables", "TableNames")
    names = [conf.table(table) for table in (job.tables if job else tables.HOT)]
    return [f"no DynamoDB table {name}: {CREATE}" for name in names if name not in there]


def _bucket(conf: Conf) -> list[str]:
    client = aws("s3", conf.s3.endpoint or "")
    if conf.s3.bucket in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        return []
    return [f"no S3 bucket {conf.s3.bucket}: {CREATE}"]
