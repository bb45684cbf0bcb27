"""Manifests are what the operator's own schema and that of Kubernetes take. No cluster of it runs here."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile

import pytest
import requests
import yaml
from jsonschema import Draft202012Validator

from tests.infra import golden, tools
from tests.support import ROOT
from tillstream import catalog, flink_line
from tillstream.clients.java import wheel
from tillstream.conf import own_folder
from tillstream.infra import kubernetes

JOBS = catalog.jobs()
IMAGE = "registry.example/tillstream:0.1.0"
MADE = kubernetes.manifests(golden.CONF, JOBS, IMAGE)
OPERATOR = "1.10.0"
JAR = (
    "https://repo1.maven.org/maven2/org/apache/flink/flink-kubernetes-operator-api/"
    f"{OPERATOR}/flink-kubernetes-operator-api-{OPERATOR}.jar"
)
CRD = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"
KUBERNETES = "1.33"
each_job = pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)


def of_kind(kind: str) -> list[dict]:
    return [one for one in MADE if one["kind"] == kind]


@pytest.fixture(scope="module")
def operator() -> Draft202012Validator:
    """By the schema of FlinkDeployment, which nothing unknown gets through."""
    file = own_folder() / "tools" / f"flinkdeployments-{OPERATOR}.yml"
    if not file.exists():
        answer = requests.get(JAR, timeout=120)
        answer.raise_for_status()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(ZipFile(BytesIO(answer.content)).read(CRD))
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    (version,) = yaml.load(file.read_text(), loader)["spec"]["versions"]
    return Draft202012Validator(closed(version["schema"]["openAPIV3Schema"]))


def closed(schema):
    """The same, without room for what it does not name: an API server drops such fields silently."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(one) for name, one in schema.items()}
    if "properties" in schema and "additionalProperties" not in schema:
        made["additionalProperties"] = False
    return made


@pytest.mark.skipif(
    flink_line.installed() is not flink_line.FIRST,
    reason="the operator whose schema Maven Central has is older than Flink 2",
)
@each_job
def test_a_deployment_is_one_that_the_operator_takes(operator: Draft202012Validator, job):
    made = kubernetes.deployment(golden.CONF, job, IMAGE)
    schema = operator.schema["properties"]["spec"]
    problems = list(Draft202012Validator(schema).iter_errors(made["spec"]))
    assert [f"{list(one.path)}: {one.message}" for one in problems] == []
    assert all(isinstance(value, str) for value in made["spec"]["flinkConfiguration"].values())


def test_a_field_that_the_operator_does_not_know_would_be_found(operator: Draft202012Validator):
    made = kubernetes.deployment(golden.CONF, JOBS[0], IMAGE)["spec"] | {"upgradeMode": "savepoint"}
    assert list(Draft202012Validator(operator.schema["properties"]["spec"]).iter_errors(made))


@pytest.mark.parametrize("kind", ["ServiceAccount", "RoleBinding"])
def test_the_rest_is_what_kubernetes_takes(kind: str, tmp_path):
    file = tmp_path / "made.yaml"
    file.write_text(yaml.safe_dump_all(of_kind(kind)))
    program = tools.environment("kubernetes") / "kubernetes-validate"
    done = tools.said(program, "--strict", "--kubernetes-version", KUBERNETES, file)
    assert done.returncode == 0, done.stdout + done.stderr


@each_job
def test_a_job_has_an_account_a_binding_and_a_state_of_its_own(job):
    name = f"prod-{job.name}"
    kinds = [one["kind"] for one in MADE if one["metadata"]["name"] == name]
    assert kinds == ["ServiceAccount", "RoleBinding", "FlinkDeployment"]
    (made,) = (one for one in of_kind("FlinkDeployment") if one["metadata"]["name"] == name)
    assert made["spec"]["serviceAccount"] == name
    folder = f"s3://tillstream-state/prod.{job.name}/"
    engine = made["spec"]["flinkConfiguration"]
    for place in ("high-availability.storageDir", "execution.checkpointing.dir"):
        assert engine[place].startswith(folder)


def test_the_engine_s_settings_are_those_of_conf_flink():
    engine = kubernetes.engine(golden.CONF, JOBS[0])
    said = yaml.safe_load((ROOT / "conf" / "flink" / "config.yaml").read_text())
    for name in ("python.execution-mode", "classloader.parent-first-patterns.additional",
                 "restart-strategy.type", "taskmanager.memory.jvm-overhead.min"):  # fmt: skip
        assert engine[name] == said[name]
    assert engine["state.backend.type"] == "rocksdb"
    assert not [name for name in engine if "zookeeper" in name]


def test_what_the_image_runs_is_there_under_that_name():
    """docker/Dockerfile links the jars of the PyFlink wheel, and jobs/ is in the wheel."""
    job = kubernetes.deployment(golden.CONF, JOBS[0], IMAGE)["spec"]["job"]
    assert (wheel() / "opt" / job["jarURI"].rpartition("/")[2]).exists()
    main = job["args"][-1]
    assert main.startswith("/opt/tillstream/lib/python")
    assert (ROOT / "jobs" / main.rpartition("/")[2]).exists()
    assert flink_line.installed().flink in job["jarURI"]
