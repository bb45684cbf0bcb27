"""Clients for MSK with IAM, from production's properties: all of it up to the connection."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from py4j.protocol import Py4JJavaError
from pyflink.util.java_utils import to_jarray

from tillstream import conf as settings
from tillstream.clients.delivery import open_producer
from tillstream.clients.kafka import kafka_settings, msk_token
from tillstream.connectors import gateway
from tillstream.errors import Unreachable
from tillstream.stock.bridge import PATIENT

NOBODY = "127.0.0.1:1"
BROKER = "b-1.tills.abc123.c2.kafka.af-south-1.amazonaws.com"
IAM = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "AWS_MSK_IAM",
    "sasl.jaas.config": "software.amazon.msk.auth.iam.IAMLoginModule required;",
    "sasl.client.callback.handler.class": "software.amazon.msk.auth.iam.IAMClientCallbackHandler",
}
PROPERTIES = {**IAM, **settings.load("prod").kafka.properties}
KEY = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}


# -- Java, of the job jar ----------------------------------------------------------------------------


def java_client(classes: Any, name: str, **more: str) -> Any:
    """One of Kafka's Java clients with production's properties, and nobody to connect to."""
    said = {"bootstrap.servers": NOBODY, **PROPERTIES, **more}
    kafka = gateway.java().org.apache.kafka.clients
    if name == "admin":
        return kafka.admin.AdminClient.create(gateway.properties(said))
    if name == "producer":
        return kafka.producer.KafkaProducer(gateway.properties(said))
    return kafka.consumer.KafkaConsumer(gateway.properties(said))


def bytes_of(kind: str, what: str) -> str:
    return f"org.apache.kafka.common.serialization.ByteArray{kind}{what}"


def test_a_java_producer_fails_only_at_connecting(classes):
    serializer = {f"{side}.serializer": bytes_of("S", "erializer") for side in ("key", "value")}
    producer = java_client(classes, "producer", **serializer, **{"max.block.ms": "1500"})
    try:
        with pytest.raises(Py4JJavaError, match=r"TimeoutException: Topic tills not present"):
            producer.partitionsFor("tills")
    finally:
        producer.close(gateway.java().java.time.Duration.ZERO)


def test_a_java_consumer_fails_only_at_connecting(classes):
    reader = {f"{side}.deserializer": bytes_of("D", "eserializer") for side in ("key", "value")}
    consumer = java_client(classes, "consumer", **reader, **{"group.id": "tillstream"})
    try:
        duration = gateway.java().java.time.Duration.ofMillis(1500)
        with pytest.raises(Py4JJavaError, match=r"TimeoutException: Timeout expired while"):
            consumer.listTopics(duration)
    finally:
        consumer.close(gateway.java().java.time.Duration.ZERO)


def test_a_java_admin_client_fails_only_at_connecting(classes):
    limits = {"request.timeout.ms": "1500", "default.api.timeout.ms": "1500"}
    admin = java_client(classes, "admin", **limits)
    try:
        with pytest.raises(Py4JJavaError, match=r"TimeoutException: Timed out waiting for a node"):
            admin.listTopics().names().get()
    finally:
        admin.close(gateway.java().java.time.Duration.ZERO)


def test_the_java_side_signs_in_for_the_region_of_the_broker(classes):
    """What the client sends once a broker answers: Kafka's SASL client, driven by hand."""
    jvm = gateway.java()
    system = jvm.java.lang.System
    system.setProperty("aws.accessKeyId", KEY["AWS_ACCESS_KEY_ID"])
    system.setProperty("aws.secretAccessKey", KEY["AWS_SECRET_ACCESS_KEY"])
    # Loading it registers the mechanism, as a login does.
    loader = jvm.Thread.currentThread().getContextClassLoader()
    module = "software.amazon.msk.auth.iam.IAMLoginModule"
    jvm.java.lang.Class.forName(module, True, loader)
    handler = jvm.software.amazon.msk.auth.iam.IAMClientCallbackHandler()
    entry = jvm.javax.security.auth.login.AppConfigurationEntry
    required = entry.LoginModuleControlFlag.REQUIRED
    entries = jvm.java.util.List.of(entry(module, required, jvm.java.util.HashMap()))
    handler.configure(jvm.java.util.HashMap(), "AWS_MSK_IAM", entries)
    mechanisms = to_jarray(jvm.String, ["AWS_MSK_IAM"])
    sasl = jvm.javax.security.sasl.Sasl.createSaslClient(
        mechanisms, None, "kafka", BROKER, jvm.java.util.HashMap(), handler
    )
    try:
        signed = json.loads(bytes(sasl.evaluateChallenge(b"")))
    finally:
        system.clearProperty("aws.accessKeyId")
        system.clearProperty("aws.secretAccessKey")
    assert signed["host"] == BROKER
    assert signed["action"] == "kafka-cluster:Connect"
    key, _, region, service, _ = signed["x-amz-credential"].split("/")
    assert (key, region, service) == (KEY["AWS_ACCESS_KEY_ID"], "af-south-1", "kafka-cluster")


# -- Python ------------------------------------------------------------------------------------------


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)


PYTHON = {
    "admin": AdminClient,
    "producer": Producer,
    "bridge": lambda said: open_producer({**said, **PATIENT}),
    "consumer": lambda said: Consumer({**said, "group.id": "tillstream"}),
}


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("name", PYTHON)
def test_a_python_client_fails_only_at_connecting(name):
    # It waits for its token while it is made, and could not be made without one.
    client = PYTHON[name](kafka_settings(NOBODY, PROPERTIES, "af-south-1"))
    with pytest.raises(KafkaException) as failure:
        client.list_topics(timeout=1)
    assert failure.value.args[0].code() == KafkaError._TRANSPORT


@pytest.mark.usefixtures("key")
def test_the_token_is_signed_for_confs_region():
    token, expires_s = msk_token("eu-west-1")
    url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    assert url.startswith("https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect")
    assert 600 < expires_s - time.time() <= 900


def test_without_aws_credentials_it_says_so(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(Unreachable, match="needs AWS credentials"):
        kafka_settings(NOBODY, PROPERTIES, "af-south-1")


def test_a_plain_broker_needs_neither_token_nor_credentials():
    said = kafka_settings(NOBODY, {}, "af-south-1")
    assert "oauth_cb" not in said
