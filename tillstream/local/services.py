"""What the stack consists of: command, and health on the real protocol, of each process."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tillstream.clients.flink import FlinkRest
from tillstream.clients.java import java, java_with_log, wheel
from tillstream.clients.kafka import kafka_settings
from tillstream.clients.programs import outcome
from tillstream.conf.layers import read_json
from tillstream.jars import JarSet
from tillstream.local import flink_home, table_server
from tillstream.local.layout import (
    CREDENTIAL,
    HERE,
    REGION,
    Layout,
    StackError,
    environment,
)

# A JSON object of broker settings; LISTENERS are added to the broker's own, all others replace.
KAFKA = "TILLSTREAM_KAFKA"
LISTENERS = ("listeners", "advertised.listeners", "listener.security.protocol.map")
FORMAT_S = 180
HEALTH_S = 3
SMALL_JVM = ["-XX:+UseSerialGC", "-Xss512k"]


@dataclass(frozen=True)
class Context:
    """One stack about to run."""

    layout: Layout
    jars: JarSet
    ports: dict[str, int]


@dataclass(frozen=True)
class Service:
    """One process. ``healthy`` raises, or returns False, while it does not serve yet."""

    name: str  # and that of its folder among the stack's data
    port: str  # which of the stack's ports it serves; "" for none of its own
    command: Callable[[Context], list[str]]
    healthy: Callable[[Context], bool]


def aws(service: str, endpoint: str, read_timeout_s: int = 30) -> Any:
    """A boto3 client of a local stand-in; a request is tried once. A busy machine is given time."""
    from tillstream.clients.aws import client

    return client(service, endpoint, REGION, basic=True, attempts=1, read_timeout_s=read_timeout_s)


def listed(client: Any, operation: str, field: str) -> list[Any]:
    """Everything a listing has: DynamoDB and SNS answer a hundred at a time."""
    return [found for page in client.get_paginator(operation).paginate() for found in page[field]]


def _answers(service: str, operation: str, field: str) -> Callable[[Context], bool]:
    def healthy(context: Context) -> bool:
        return field in getattr(aws(service, url(context, service), HEALTH_S), operation)()

    return healthy


def url(context: Context, port: str) -> str:
    return f"http://127.0.0.1:{context.ports[port]}"


def _java(context: Context, name: str, *options: str) -> list[str]:
    return java_with_log(context.layout.log(name), HERE / "log4j2.properties", list(options))


# -- Kafka -----------------------------------------------------------------------------------------


def _kafka_jvm(context: Context, heap: list[str]) -> list[str]:
    # Kafka logs through slf4j: Flink's log4j does the writing.
    log4j = sorted((wheel() / "lib").glob("log4j-*.jar"))
    classpath = ":".join([f"{context.jars.kafka}/*", *map(str, log4j)])
    return [*_java(context, "kafka", *heap), "-cp", classpath]


def _kafka(context: Context) -> list[str]:
    data = context.layout.data / "kafka"
    controller = f"127.0.0.1:{context.ports['kafka-controller']}"
    broker = f"127.0.0.1:{context.ports['kafka']}"
    settings: dict[str, Any] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data / "logs",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.segment.bytes": 134217728,
        # By size alone: records of past event times must not vanish for being old.
        "log.retention.ms": -1,
        "log.retention.bytes": 4294967296,
        "log.cleaner.dedupe.buffer.size": 16777216,
    }
    more = read_json(os.environ.get(KAFKA) or "{}", KAFKA)
    own = {name: settings[name] for name in LISTENERS}
    settings |= more | {name: ",".join(filter(None, (own[name], more.get(name)))) for name in own}
    file = data / "server.properties"
    _write_properties(file, settings)
    if not (data / "logs" / "meta.properties").exists():
        _format(context, file)
    return [
        *_kafka_jvm(context, ["-Xmx512m", "-Xms256m", "-XX:+UseG1GC"]),
        "kafka.Kafka",
        str(file),
    ]


def _format(context: Context, file: Path) -> None:
    command = [
        *_kafka_jvm(context, ["-Xmx128m", "-XX:TieredStopAtLevel=1"]),
        *("kafka.tools.StorageTool", "format", "-t", str(uuid.uuid4()), "-c", str(file)),
    ]
    try:
        done = outcome(command, FORMAT_S, env=environment(context.layout))
    except subprocess.TimeoutExpired:
        busy = f"Kafka could not prepare {file.parent} in {FORMAT_S} s: run `tillstream up` again"
        raise StackError(busy) from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise StackError(
            f"Kafka cannot prepare {file.parent}: {said[-1] if said else 'no reason given'}; "
            "`tillstream up --fresh` begins with an empty folder"
        )


def listener(name: str, port: int, advertised: int, protocol: str = "PLAINTEXT") -> dict[str, str]:
    """Settings for $TILLSTREAM_KAFKA: who comes to the broker by ``port`` is sent on to ``advertised``."""
    return {
        "listeners": f"{name}://127.0.0.1:{port}",
        "advertised.listeners": f"{name}://127.0.0.1:{advertised}",
        "listener.security.protocol.map": f"{name}:{protocol}",
    }


def _kafka_healthy(context: Context) -> bool:
    from confluent_kafka.admin import AdminClient

    bootstrap = f"127.0.0.1:{context.ports['kafka']}"
    client = AdminClient(kafka_settings(bootstrap, {}, REGION))
    return bool(client.list_topics(timeout=2).brokers)


# -- AWS stand-ins ---------------------------------------------------------------------------------


def _kinesis(context: Context) -> list[str]:
    port = str(context.ports["kinesis"])
    return [sys.executable, "-m", "tillstream.local.kinesis_server", "-p", port]


def _dynamodb(context: Context) -> list[str]:
    return table_server.command(context.ports["dynamodb"], context.layout.data / "dynamodb")


def _dynamodb_healthy(context: Context) -> bool:
    aws("dynamodb", url(context, "dynamodb"), HEALTH_S).list_tables()
    table_server.index_changes(context.layout.data / "dynamodb")
    return True


def _write_properties(file: Path, settings: dict[str, Any]) -> None:
    """As Java reads them: in Latin-1, other letters as \\uXXXX."""
    lines = "".join(f"{name}={value}\n" for name, value in settings.items())
    # JSON's escapes are those of Java's properties.
    file.write_text(re.sub("[^\x00-\x7f]", lambda letter: json.dumps(letter[0])[1:-1], lines))


def _s3(context: Context) -> list[str]:
    data = context.layout.data / "s3"
    settings = {
        "s3proxy.endpoint": url(context, "s3"),
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.identity": CREDENTIAL,
        "s3proxy.credential": CREDENTIAL,
        "s3proxy.ignore-unknown-headers": "true",
        "s3proxy.v4-max-non-chunked-request-size": 134217728,
        "jclouds.provider": "filesystem-nio2",
        "jclouds.identity": "remote-identity",
        "jclouds.credential": "remote-credential",
        "jclouds.filesystem.basedir": data,
    }
    file = context.layout.data / "s3proxy.conf"
    _write_properties(file, settings)
    return [
        *(java(), "-Xmx384m", *SMALL_JVM),
        f"-Dlog.file={context.layout.log('s3')}",
        f"-Dlogback.configurationFile={HERE / 'logback-s3proxy.xml'}",
        *("-cp", f"{context.jars.s3proxy}/*"),
        *("org.gaul.s3proxy.Main", "--properties", str(file)),
    ]


# -- Flink -----------------------------------------------------------------------------------------


def _zookeeper(context: Context) -> list[str]:
    """Keeps which JobManager leads and which jobs run. It is in Flink's own jar."""
    data = context.layout.data / "zookeeper"
    settings = {
        "dataDir": data,
        "clientPort": context.ports["zookeeper"],
        "clientPortAddress": "127.0.0.1",
        "admin.enableServer": "false",
    }
    file = context.layout.data / "zookeeper.conf"
    _write_properties(file, settings)
    jars = sorted([*(wheel() / "lib").glob("log4j-*.jar"), *(wheel() / "lib").glob("flink-dist-*")])
    return [
        *_java(context, "zookeeper", "-Xmx64m", "-XX:TieredStopAtLevel=1", *SMALL_JVM),
        *("-cp", ":".join(map(str, jars))),
        "org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.server.ZooKeeperServerMain",
        str(file),
    ]


def _zookeeper_healthy(context: Context) -> bool:
    with socket.create_connection(("127.0.0.1", context.ports["zookeeper"]), 2) as asked:
        asked.sendall(b"srvr")
        return asked.recv(64).startswith(b"Zookeeper version")


def _supervisor(context: Context) -> list[str]:
    return [sys.executable, "-m", "tillstream.local.supervisor", str(context.layout.home)]


def _jobmanager_healthy(context: Context) -> bool:
    return "taskmanagers" in FlinkRest(url(context, "flink-rest"), timeout_s=2).overview()


def taskmanager(number: int) -> Service:
    """The TaskManager of that number, counted from 1."""
    name = f"taskmanager-{number}"

    def healthy(context: Context) -> bool:
        known = FlinkRest(url(context, "flink-rest"), timeout_s=2).taskmanagers()
        # One killed a moment ago may still be listed; a fresh heartbeat is the proof of life.
        return any(tm["id"] == name and tm["slotsNumber"] > 0 for tm in known)

    return Service(name, "", lambda context: flink_home.taskmanager(context.layout, name), healthy)


ZOOKEEPER = Service("zookeeper", "zookeeper", _zookeeper, _zookeeper_healthy)
SUPERVISOR = Service("supervisor", "", _supervisor, lambda context: True)
STAND_INS = (
    Service("kafka", "kafka", _kafka, _kafka_healthy),
    Service(
        "jobmanager", "flink-rest", lambda c: flink_home.jobmanager(c.layout), _jobmanager_healthy
    ),
    Service("kinesis", "kinesis", _kinesis, _answers("kinesis", "list_streams", "StreamNames")),
    Service("dynamodb", "dynamodb", _dynamodb, _dynamodb_healthy),
    Service("s3", "s3", _s3, _answers("s3", "list_buckets", "Buckets")),
)


def is_flink(name: str) -> bool:
    return name == "jobmanager" or name.startswith("taskmanager-")


def is_cluster(name: str) -> bool:
    """Of the Flink cluster, which lives as long as one of these does. The supervisor starts the others."""
    return is_flink(name) or name in ("zookeeper", "supervisor")


def services(taskmanagers: int) -> list[Service]:
    """All processes of a stack with so many TaskManagers, in the order in which they start."""
    numbers = range(1, taskmanagers + 1)
    return [ZOOKEEPER, *STAND_INS[:2], *map(taskmanager, numbers), *STAND_INS[2:], SUPERVISOR]
