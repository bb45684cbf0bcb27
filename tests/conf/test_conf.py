"""The environment is said; every setting can be given on Amazon's service; a wrong one is one line."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from tillstream import catalog, conf
from tillstream.catalog import topics
from tillstream.cluster.job_commands import overrides_of
from tillstream.conf import ConfError, layers, load, nest
from tillstream.domain.notice import KINDS
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
        ({"loyalty": {"max_postings": "x"}}, "loyalty.max_postings: expected int, got str"),
        ({"loyalty": {"cents_per_point": 5}}, "loyalty.cents_per_point is now loyalty.terms.ZAR"),
        (
            {"loyalty": {"terms": {"ZAR": {"per_point": 0}}}},
            "loyalty.terms.per_point: expected int >= 1",
        ),
        ({"loyalty": {"points": 1}}, "there is no setting loyalty.points"),
        ({"inventory": {"stores": "a.csv"}}, "inventory.stores is now reference.stores"),
        ({"kafka": {"topics": {"notises": "n"}}}, "there is no setting kafka.topics.notises"),
        ({"source": {"kind": "csv"}}, "source.kind: expected one of kafka, kinesis"),
        ({"job": {"parallelism": 0}}, "job.parallelism: expected int >= 1"),
        ({"job": {"max_parallelism": 40_000}}, "job.max_parallelism: expected int <= 32768"),
        ({"job": {"checkpoint_interval_ms": 5}}, "job.checkpoint_interval_ms: expected int >= 10"),
        ({"demand": {"half_life_days": 0}}, "demand.half_life_days: expected float > 0"),
        ({"demand": {"half_life_days": math.nan}}, "demand.half_life_days: expected float > 0"),
        (
            {"demand": {"half_life_days": math.inf}},
            "demand.half_life_days: expected float <= 1000000",
        ),
        (
            {"notify": {"per_second": {"sms": 0}}},
            "a value in notify.per_second: expected float > 0",
        ),
        ({"notify": {"per_second": {"fax": 1}}}, "there is no setting notify.per_second.fax"),
        (
            {"state": {"write_versions": {"loyalty_acount": 1}}},
            "state.write_versions: there is no loyalty_acount; known: ",
        ),
        (
            {"state": {"write_versions": {"loyalty_account": 99}}},
            "state.write_versions: loyalty_account has versions 1 to",
        ),
        ({"notify": {"workers": 0}}, "notify.workers: expected int >= 1"),
        ({"inventory": {"speed_kmh": 0}}, "inventory.speed_kmh: expected int >= 1"),
        ({"deployment": "blue green"}, "deployment: must be 1 to 41 of A-Z a-z 0-9 _ -"),
        ({"deployment": ".blue"}, "deployment: must be 1 to 41 of"),
        ({"deployment": "b" * 42}, "deployment: must be 1 to 41 of"),
        ({"region": " "}, "region: must not be empty"),
        ({"s3": {"bucket": ""}}, "s3.bucket: must not be empty"),
        ({"kafka": {"properties": {1: "x"}}}, "a name in kafka.properties: expected str, got int"),
        (
            {"shortage": {"lead_minutes_by_store": {"x": 1}}},
            "a name in shortage.lead_minutes_by_store: expected int, got str",
        ),
        ({1: 2}, "a name in settings: expected str"),
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


def test_an_empty_endpoint_is_none(nobody_says):
    found = load(overrides={"s3": {"endpoint": ""}, "source": {"kafka": {"bootstrap": ""}}})
    assert (found.s3.endpoint, found.source.kafka.bootstrap) == (None, None)


def test_settings_know_the_kinds_of_notices():
    assert conf.NOTICES == KINDS


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"does not hold property groups: it is not JSON \(line 1, column 2\)"),
        ("{}", "does not hold property groups: it is not a list"),
        ('{"a": 1}', "does not hold property groups: it is not a list"),
        ("[1]", "does not hold property groups: group 1 has no PropertyGroupId"),
        ('[{"PropertyGroupId": " Tillstream"}]', "group ' Tillstream' must be called 'tillstream'"),
        ('[{"PropertyGroupId": "tillstream"}]', "its PropertyMap must be names and values"),
        (
            '[{"PropertyGroupId": "tillstream", "PropertyMap": ["a"]}]',
            "its PropertyMap must be names and values",
        ),
        (
            '[{"PropertyGroupId": "tillstream", "PropertyMap": {"region": null}}]',
            "group tillstream: the value of region must be text",
        ),
        (
            '[{"PropertyGroupId": "tillstream", "PropertyMap": {"region": ["a"]}}]',
            "group tillstream: the value of region must be text",
        ),
        ('[{"PropertyGroupId": "tillstream", "PropertyMap": {"": "x"}}]', "a setting has no name"),
        (
            '[{"PropertyGroupId": "tillstream", "PropertyMap": {"region": "x", "region": "y"}}]',
            "region is set twice",
        ),
    ],
)
def test_damaged_property_groups_are_one_clear_line(nobody_says, monkeypatch, text, said):
    file = nobody_says / "application_properties.json"
    file.write_text(text)
    monkeypatch.setattr(conf, "AMSF_PROPERTIES", file)
    with pytest.raises(ConfError, match=said):
        load()


def test_property_groups_of_others_do_not_matter(nobody_says, monkeypatch):
    file = nobody_says / "application_properties.json"
    monkeypatch.setattr(conf, "AMSF_PROPERTIES", file)
    for text in ("[]", '[{"PropertyGroupId": "InputStream0", "PropertyMap": {"x": "y"}}]'):
        file.write_text(text)
        assert load().environment == "prod"


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


def written(monkeypatch, folder: Path, prod: bytes | str) -> Path:
    """A folder of settings whose prod.yaml is this."""
    here = folder / "conf"
    shutil.copytree(conf.RESOURCES / "conf", here, dirs_exist_ok=True)
    (here / "prod.yaml").write_bytes(prod if isinstance(prod, bytes) else prod.encode())
    monkeypatch.setenv("TILLSTREAM_CONF_DIR", str(here))
    return here


@pytest.mark.parametrize(
    ("prod", "said"),
    [
        ("a: *hunter2", "prod.yaml, line 1, column 4: is not valid YAML"),
        ("region: !hunter2 x", "prod.yaml, line 1, column 9: is not valid YAML"),
        ("? {hunter2: x}\n: y", "prod.yaml, line 1, column 3: is not valid YAML"),
        ("hunter2", "prod.yaml: settings are names and values, not str"),
        ("region: {hunter2: " + "{a: " * 150 + "1" + "}" * 151, "region: expected str, got object"),
        ("loyalty: {notify: !!bool hunter2}", "prod.yaml: is not valid YAML"),
        ("region: hunter2: x", "prod.yaml, line 1, column 16: is not valid YAML"),
        ("kafka:\n  properties:\n    x: {hunter2, hunter2}", "line 3: a name is set twice"),
        ("region: x\nsource:\n  uid: a\n  uid: b", "prod.yaml, line 4: uid is set twice"),
        ("kafka: {properties: {a: 1, a: 2}}", "prod.yaml, line 1: a is set twice"),
        ("inventory: {lead_hours: 12:30}", "inventory.lead_hours: expected int, got str"),
        ("inventory: {lead_hours: 0120}", "inventory.lead_hours: expected int, got str"),
        (
            "shortage: {lead_minutes_by_store: {0120: 5}}",
            "lead_minutes_by_store: expected int, got",
        ),
        ("inventory: {lead_hours: 2026-01-01}", "inventory.lead_hours: expected int, got str"),
        ("source: {kind: hunter2}", "source.kind: expected one of kafka, kinesis"),
        ("job: {parallelism: hunter2}", "job.parallelism: expected int, got str"),
        ("region: hunter2 \xe9".encode("latin-1"), "prod.yaml is not UTF-8 (byte 16)"),
        ("region: hunter2".encode("utf-16"), "prod.yaml is not UTF-8 (byte 0)"),
        ("x: " + "[" * 2_000, "prod.yaml is nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_shows_no_part_of_a_value(
    nobody_says, monkeypatch, tmp_path, prod, said
):
    written(monkeypatch, tmp_path, prod)
    with pytest.raises(ConfError) as caught:
        load()
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["prod.yml", "jobs/loyalty.yml", "prod.YAML"])
def test_a_file_that_would_not_be_read_is_named(nobody_says, monkeypatch, tmp_path, name):
    stray = written(monkeypatch, tmp_path, "") / name
    stray.write_text("")
    with pytest.raises(ConfError, match=f"{stray} is not read: call it {stray.stem}.yaml"):
        load()


def test_a_text_setting_keeps_the_text_of_the_file(nobody_says, monkeypatch, tmp_path):
    values = "{a: 5, b: yes, c: 0120, d: 1_000, e: 1.50, f: 12:30, g: 2026-01-01, 8: 0x1F}"
    text = f"source: {{kinesis: {{account: 012345678901}}}}\nkafka: {{properties: {values}}}"
    written(monkeypatch, tmp_path, text)
    found = load()
    assert found.source.kinesis.account == "012345678901"
    assert found.kafka.properties == {
        "a": "5", "b": "yes", "c": "0120", "d": "1_000", "e": "1.50", "f": "12:30",
        "g": "2026-01-01", "8": "0x1F",
    }  # fmt: skip


HANDLER = "sasl.client.callback.handler.class"


def test_null_removes_a_name_of_a_map(nobody_says, monkeypatch):
    assert HANDLER in load().kafka.properties
    assert (
        HANDLER not in load(overrides={"kafka": {"properties": {HANDLER: None}}}).kafka.properties
    )
    pairs = (f"kafka.properties.{HANDLER}=null", "notify.per_second.sms=null")
    found = load(overrides=overrides_of(pairs))
    assert HANDLER not in found.kafka.properties
    assert set(found.notify.per_second) == {"alert", "order"}
    service(monkeypatch, nobody_says, {f"kafka.properties.{HANDLER}": "null"})
    found = load()
    assert HANDLER not in found.kafka.properties
    assert found.kafka.properties["sasl.mechanism"] == "AWS_MSK_IAM"
    back = load(overrides={"kafka": {"properties": {HANDLER: "x"}}})
    assert back.kafka.properties[HANDLER] == "x"


def test_a_property_of_null_is_null(nobody_says, monkeypatch):
    service(monkeypatch, nobody_says, {"s3.endpoint": "null", "reference.stores": "null"})
    assert (load().s3.endpoint, load().reference.stores) == (None, None)


def test_a_name_set_twice_in_json_is_refused(nobody_says, monkeypatch):
    monkeypatch.setenv("TILLSTREAM_CONF", '{"region": "x", "region": "y"}')
    with pytest.raises(ConfError, match="TILLSTREAM_CONF: region is set twice"):
        load()


@pytest.mark.parametrize("said", ["base", "../conf/prod", "./prod", "flink/config"])
def test_only_a_listed_environment_can_be_chosen(nobody_says, monkeypatch, said):
    monkeypatch.setenv("TILLSTREAM_ENV", said)
    with pytest.raises(ConfError, match=r"no environment '.*; known environments: local, prod\."):
        load()


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (
            "kafka.properties.sasl.password=*hunter2",
            "sasl.password, line 1, column 1: is not valid",
        ),
        ("region=b: hunter2: d", "--conf region, line 1, column 11: is not valid YAML"),
        ("sasl.password hunter2", "--conf needs KEY=VALUE"),
        ("region hunter2==", "--conf needs KEY=VALUE"),
        ("=hunter2", "a setting has no name"),
        ("notify.per_second={hunter2", "notify.per_second, line 1, column 9: is not valid YAML"),
    ],
)
def test_a_wrong_override_shows_no_part_of_its_value(pair, said):
    with pytest.raises(ConfError) as caught:
        overrides_of((pair,))
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_wrong_property_shows_no_part_of_a_value(nobody_says, monkeypatch):
    service(monkeypatch, nobody_says, {"kafka.properties": "{hunter2"})
    with pytest.raises(ConfError, match=r"kafka.properties is not JSON \(line 1, column 2\)"):
        load()
    file = nobody_says / "application_properties.json"
    file.write_bytes('[{"hunter2": "\xe9"}]'.encode("latin-1"))
    with pytest.raises(ConfError, match=r"application_properties.json is not UTF-8 \(byte 14\)$"):
        load()


def test_an_override_is_yaml(nobody_says):
    found = overrides_of(
        ("kafka.properties.linger.ms=5", "shortage.categories=[a, b]", "s3.endpoint=null")
    )
    assert found["kafka"]["properties"] == {"linger.ms": "5"}
    assert found["shortage"]["categories"] == ["a", "b"]
    assert found["s3"] == {"endpoint": None}


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


def test_a_file_that_settings_name_is_looked_for_beside_them_wherever_a_job_starts(
    nobody_says, monkeypatch, tmp_path
):
    prod = (
        "reference: {stores: own/stores.csv, products: elsewhere.csv}\n"
        "intake: {mappings: [own/till.yaml, rewe-ebon]}\nfraud: {texts: own/texts.yaml}\n"
    )
    here = written(monkeypatch, tmp_path, prod)
    (here / "own").mkdir()
    for name in ("stores.csv", "till.yaml", "texts.yaml"):
        (here / "own" / name).write_text("")
    found = load()
    assert found.reference.stores == str(here / "own" / "stores.csv")
    assert found.reference.products == "elsewhere.csv"
    assert found.intake.mappings == [str(here / "own" / "till.yaml"), "rewe-ebon"]
    assert found.fraud.texts == str(here / "own" / "texts.yaml")


def test_on_the_service_nobody_looks_for_a_local_stack(nobody_says, monkeypatch):
    """Its user need have no home to look in."""
    service(monkeypatch, nobody_says, {})
    monkeypatch.setattr(conf, "stack_file", lambda: pytest.fail("looked for a stack"))
    assert load().environment == "prod"


def test_settings_go_to_properties_and_back():
    said = {
        "source": {"start_ms": 5, "until_ms": None, "kafka": {"offsets": {"a.b/0": 7}}},
        "intake": {"keep_raw": False, "scales": ["20IIIIIVPPPPC"]},
        "kafka": {"properties": {"security.protocol": "SSL"}},
        "deployment": "prod",
    }
    flat = layers.flat(said)
    assert flat["source.kafka.offsets"] == '{"a.b/0": 7}'
    assert flat["source.until_ms"] == "null"
    assert all(isinstance(text, str) for text in flat.values())
    read = nest(flat)
    assert read["source"]["kafka"]["offsets"] == {"a.b/0": 7}
    assert read["kafka"] == said["kafka"]
    assert read["intake"]["scales"] == ["20IIIIIVPPPPC"]
    assert read["source"]["until_ms"] is None
