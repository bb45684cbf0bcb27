"""The environment is said; every setting can be given on Amazon's service; a wrong one is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tillstream import catalog, conf
from tillstream.catalog import topics
from tillstream.conf import ConfError, load, nest
from tillstream.reference import clocks, network, price_list


@pytest.fixture
def nobody_says(monkeypatch, tmp_path) -> Path:
    """No environment variable, no local stack; the folder where one would be."""
    for name in ("TILLSTREAM_ENV", "TILLSTREAM_CONF", "TILLSTREAM_CONF_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
    monkeypatch.setattr(conf, "AMSF_PROPERTIES", tmp_path / "none.json")
    return tmp_path


def service(monkeypatch, folder: Path, properties: dict[str, str]) -> None:
    """As /etc/flink/application_properties.json of Amazon's service."""
    file = folder / "application_properties.json"
    groups = [
        {
            "PropertyGroupId": "kinesis.analytics.flink.run.options",
            "PropertyMap": {"python": "m.py"},
        },
        {"PropertyGroupId": "tillstream", "PropertyMap": properties},
    ]
    file.write_text(json.dumps(groups))
    monkeypatch.setattr(conf, "AMSF_PROPERTIES", file)


def test_without_a_word_production_s_settings_apply(nobody_says):
    found = load()
    assert (found.environment, found.deployment, found.local) == ("prod", "prod", False)
    assert found.kafka.properties["sasl.mechanism"] == "AWS_MSK_IAM"
    assert conf.unsaid()


def test_on_amazon_s_service_every_setting_can_be_given(nobody_says, monkeypatch):
    service(
        monkeypatch,
        nobody_says,
        {
            "deployment": "blue",
            "kafka.properties.security.protocol": "SASL_PLAINTEXT",
            "kafka.topics.notices": "notices-blue",
            "shortage.categories": "bakery, dairy",
            "shortage.lead_minutes_by_store": '{"7": 45}',
            "shortage.lead_minutes_by_store.8": "60",
            "notify.per_second.sms": "3.5",
            "state.write_versions.loyalty_account": "1",
            "source.start_ms": "null",
            "loyalty.notify": "false",
            "reference.stores": "/data/stores.csv",
        },
    )
    found = load()
    assert found.environment == "prod"
    assert found.kafka.properties["security.protocol"] == "SASL_PLAINTEXT"
    assert found.kafka.properties["sasl.mechanism"] == "AWS_MSK_IAM"
    assert found.topic(topics.NOTICES) == "notices-blue"
    assert found.shortage.categories == ["bakery", "dairy"]
    assert found.shortage.lead_minutes_by_store == {7: 45, 8: 60}
    assert found.notify.per_second["sms"] == 3.5
    assert found.state.write_versions == {"loyalty_account": 1}
    assert (found.source.start_ms, found.loyalty.notify) == (None, False)
    assert found.own_name("loyalty", "notices") == "blue.loyalty.notices"
    assert not conf.unsaid()


def test_a_property_may_name_the_environment(nobody_says, monkeypatch):
    service(monkeypatch, nobody_says, {"environment": "local"})
    assert load().environment == "local"


def test_a_local_stack_names_itself(nobody_says):
    stack = nobody_says / "stack" / "stack.json"
    stack.parent.mkdir()
    here = {"endpoint": "http://127.0.0.1:1"}
    kafka = {"bootstrap": "127.0.0.1:2"}
    record: dict[str, object] = {"kafka": kafka, "kinesis": here, "dynamodb": here, "s3": here}
    stack.write_text(json.dumps(record | {"flink": {}, "ports": {}, "processes": {}}))
    found = load()
    assert (found.environment, found.kafka.bootstrap) == ("local", "127.0.0.1:2")
    assert load("prod").dynamodb.endpoint is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"loyalty": {"cents_per_point": "x"}}, "loyalty.cents_per_point: expected int, got str"),
        ({"loyalty": {"points": 1}}, "there is no setting loyalty.points"),
        ({"inventory": {"stores": "a.csv"}}, "inventory.stores is now reference.stores"),
        ({"kafka": {"topics": {"notises": "n"}}}, "there is no setting kafka.topics.notises"),
        ({"source": {"kind": "csv"}}, "source.kind: invalid enum value 'csv'"),
        ({"aws": {"credentials": "basic"}}, "aws.credentials: basic is for the local stack"),
        ({"notify": {"sender": "file"}}, "notify.sender: file is for the local stack"),
        (
            {"reference": {"stores": "packaged"}},
            "reference.stores: packaged is for the local stack",
        ),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(nobody_says, wrong, said):
    with pytest.raises(ConfError) as caught:
        load(overrides=wrong)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("loyalty.notify.x", "loyalty.notify is one value"),
        ("nothing.here", "there is no setting nothing"),
        (
            "shortage.lead_minutes_by_store",
            "is a map: write shortage.lead_minutes_by_store.NAME=VALUE",
        ),
    ],
)
def test_a_name_that_is_no_setting_is_told(name, said):
    with pytest.raises(ConfError, match=said):
        nest({name: "1"})


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', "[1]"])
def test_a_damaged_properties_file_is_named(nobody_says, monkeypatch, text):
    file = nobody_says / "application_properties.json"
    file.write_text(text)
    monkeypatch.setattr(conf, "AMSF_PROPERTIES", file)
    if text == "[]":
        assert load().environment == "prod"
        return
    with pytest.raises(ConfError, match=r"application_properties\.json does not hold"):
        load()


def test_a_broken_file_is_told_with_its_line(nobody_says, monkeypatch, tmp_path):
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "base.yaml").write_text("region: x\nsource: [\n")
    (folder / "prod.yaml").write_text("")
    monkeypatch.setenv("TILLSTREAM_CONF_DIR", str(folder))
    with pytest.raises(ConfError, match=r"base\.yaml, line \d"):
        load()
    with pytest.raises(ConfError, match="known environments: prod"):
        load("staging")
    monkeypatch.setenv("TILLSTREAM_CONF_DIR", "")
    monkeypatch.setenv("TILLSTREAM_CONF", "{x")
    with pytest.raises(ConfError, match="TILLSTREAM_CONF is not JSON"):
        load()


@pytest.mark.parametrize("table", [network, clocks, price_list])
def test_invented_stores_never_stand_in_for_a_grocer_s_silently(nobody_says, table):
    with pytest.raises(ConfError, match=r"reference\.(stores|products) is not set"):
        table(load())
    assert table(load("local"))


def test_fraud_knows_the_stores_that_inventory_knows(nobody_says, tmp_path):
    file = tmp_path / "stores.csv"
    file.write_text(
        "store,name,region,country,currency,lat,lon,zone\n"
        "7,Harare,harare,ZW,USD,-17.8,31.0,Africa/Harare\n"
    )
    centres = tmp_path / "centres.csv"
    centres.write_text("centre,name,country,lat,lon\n9001,C,ZW,-17.9,31.1\n")
    found = load(overrides={"reference": {"stores": str(file), "centres": str(centres)}})
    assert set(network(found)) == set(clocks(found)) == {7}


@pytest.mark.parametrize("job", catalog.names())
def test_every_job_s_settings_load_as_production_s(nobody_says, monkeypatch, job):
    service(monkeypatch, nobody_says, {"job.parallelism": "4"})
    found = load()
    assert found.job.parallelism == 4
    assert found.job.require_thread_mode
    assert found.aws.credentials == "default"
    assert found.own_name(job) == f"prod.{job}"
