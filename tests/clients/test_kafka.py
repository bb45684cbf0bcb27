"""Settings of the Python clients, made of those that conf has for the JVM's."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer

from tests.support import ROOT
from tillstream.clients.kafka import (
    client_settings,
    reader_settings,
    source_settings,
    unreachable,
)
from tillstream.cluster import preflight
from tillstream.conf import load
from tillstream.connectors import sources
from tillstream.errors import Unreachable

SCRAM = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required "
    'username="tills" password="a=b, c;";',
}


def consumers() -> list[Path]:
    """Files that make a consumer which reads: clients/delivery.py only looks whether a topic is there."""
    found = [*(ROOT / "tillstream").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    return [
        path for path in found
        if re.search(r"(?<!def )\bConsumer\(", path.read_text()) and path.name != "delivery.py"
    ]  # fmt: skip


def conf_with(**kafka: object):
    return load("local", {"kafka": {"bootstrap": "h:1", **kafka}})


def test_a_consumer_reads_what_is_committed_whatever_the_properties_say():
    conf = conf_with(properties={"isolation.level": "read_uncommitted"})
    assert reader_settings(conf, "check")["isolation.level"] == "read_committed"
    job: Any = SimpleNamespace(own_name=lambda: "tillstream.sales")
    found = sources._consumer(job, conf.source_properties)
    assert found == {"group.id": "tillstream.sales", "isolation.level": "read_committed"}


@pytest.mark.parametrize("path", consumers(), ids=lambda path: path.name)
def test_no_consumer_is_made_without_that(path):
    assert re.search(r"COMMITTED|reader_settings", path.read_text()), path


def test_what_only_the_jvm_knows_stops_no_python_client():
    java_only = {"max.request.size": "5000000", "max.poll.records": "10", "buffer.memory": "1"}
    Producer(client_settings(conf_with(properties=java_only)))


def test_user_and_password_come_out_of_the_jvms_login_line():
    found = client_settings(conf_with(properties=SCRAM))
    assert (found["sasl.username"], found["sasl.password"]) == ("tills", "a=b, c;")
    Producer(found)


def test_the_tills_brokers_are_asked_as_all_others_are_unless_they_have_settings_of_their_own():
    conf = load(
        "local",
        {
            "kafka": {"bootstrap": "h:1", "properties": SCRAM},
            "source": {"kafka": {"bootstrap": "tills:1", "properties": {"client.id": "reader"}}},
        },
    )
    found = source_settings(conf)
    assert found["bootstrap.servers"] == "tills:1"
    assert (found["sasl.username"], found["client.id"]) == ("tills", "reader")
    assert conf.source_properties == SCRAM | {"client.id": "reader"}


def test_a_property_that_no_client_knows_is_not_taken_for_a_broker_that_is_away():
    with pytest.raises(KafkaException) as refused:
        Producer(client_settings(conf_with(properties={"no.such.thing": "1"})))
    said = str(unreachable("h:1", refused.value.args[0]))
    assert said == 'kafka.properties in conf: No such configuration property: "no.such.thing"'


def test_a_submission_names_the_setting_that_no_client_takes():
    conf = conf_with(properties={"no.such.thing": "1"})
    with pytest.raises(Unreachable, match=r'No such configuration property: "no\.such\.thing"'):
        preflight._admin("h:1", conf)
