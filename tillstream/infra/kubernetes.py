"""Jobs for a Kubernetes cluster of one's own: a FlinkDeployment each, for the Flink Kubernetes Operator.

The image is that of docker/, or one made from it that has a grocer's own settings; docs/containers.md.
"""

from __future__ import annotations

from typing import Any

import yaml

from tillstream import flink_line
from tillstream.catalog.entry import Job
from tillstream.conf import RESOURCES, Conf
from tillstream.infra.names import Json

HOME = "/opt/tillstream"  # of docker/Dockerfile
WORKER = {"cpu": 1.0, "memory": "4096m"}  # as a KPU of Amazon's service
MANAGER = {"cpu": 0.5, "memory": "2048m"}  # the driver's Python runs beside it
# Of the local stack's settings: what the operator or the size of the container decides, and how soon a
# process is missed on one machine.
LEFT_OUT = (
    "high-availability.",
    "zookeeper.",
    "heartbeat.",
    "cluster.registration.",
    "pekko.",
    "taskmanager.slot.",
    "taskmanager.cpu.",
    "jobmanager.memory.",
    "taskmanager.memory.framework.",
    "taskmanager.memory.managed.",
    "taskmanager.memory.task.",
    "parallelism.",
    "web.",
    "rest.",
    "metrics.",
)


def engine(conf: Conf, job: Job) -> dict[str, str]:
    """Flink's settings of the job: those of conf/flink, with state in RocksDB and kept on S3."""
    folder = RESOURCES / "conf" / "flink"
    said: dict[str, Any] = {}
    for name in ("config.yaml", "rocksdb.yaml"):
        said |= yaml.safe_load((folder / name).read_text())
    kept = {name: value for name, value in said.items() if not name.startswith(LEFT_OUT)}
    place = f"{conf.s3.scheme}://{conf.s3.bucket}-state/{conf.own_name(job.name)}"
    python = f"{HOME}/bin/python"
    kept |= {
        "taskmanager.memory.managed.fraction": 0.3,
        "high-availability.type": "kubernetes",
        "high-availability.storageDir": f"{place}/ha",
        "execution.checkpointing.dir": f"{place}/checkpoints",
        "execution.checkpointing.savepoint-dir": f"{place}/savepoints",
        "python.executable": python,
        "python.client.executable": python,
        # The role of the service account; the plugin does not look for it by itself.
        "fs.s3a.aws.credentials.provider": "com.amazonaws.auth.WebIdentityTokenCredentialsProvider",
        "s3.endpoint.region": conf.region,
    }
    if conf.job.checkpoint_interval_ms:
        kept["execution.checkpointing.interval"] = f"{conf.job.checkpoint_interval_ms} ms"
    return {name: _text(value) for name, value in sorted(kept.items())}


def _name(conf: Conf, job: Job) -> str:
    """Of all that is made for the job; Kubernetes takes no dots."""
    return f"{conf.deployment}-{job.name}"


def deployment(conf: Conf, job: Job, image: str) -> Json:
    """One job in a cluster of its own. It is upgraded over a savepoint, and stopped with one."""
    line = flink_line.installed()
    own = conf.of(job)
    python = f"python{line.python}"
    main = f"{HOME}/lib/{python}/site-packages/tillstream/jobs/{job.name}.py"
    variables = [{"name": "TILLSTREAM_ENV", "value": conf.environment}]
    container = {"name": "flink-main-container", "env": variables}
    return {
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": "FlinkDeployment",
        "metadata": {"name": _name(conf, job), "labels": {"app": "tillstream"}},
        "spec": {
            "image": image,
            "flinkVersion": f"v{line.name.replace('.', '_')}",
            "serviceAccount": _name(conf, job),
            "flinkConfiguration": engine(own, job),
            "podTemplate": {"spec": {"containers": [container]}},
            "jobManager": {"replicas": 1, "resource": dict(MANAGER)},
            "taskManager": {"resource": dict(WORKER)},
            "job": {
                "jarURI": f"local:///opt/flink/opt/flink-python-{line.flink}.jar",
                "entryClass": "org.apache.flink.client.python.PythonDriver",
                "args": ["-pyclientexec", f"{HOME}/bin/python", "-py", main],
                "parallelism": own.job.parallelism,
                "upgradeMode": "savepoint",
                "state": "running",
            },
        },
    }


def account(conf: Conf, job: Job) -> Json:
    """Whose role the job has. The operator gives it what a JobManager needs in its namespace by a binding."""
    name = _name(conf, job)
    arn = f"arn:aws:iam::{conf.source.kinesis.account}:role/{name}"
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "annotations": {"eks.amazonaws.com/role-arn": arn}},
    }


def binding(conf: Conf, job: Job) -> Json:
    """To the role `flink`, which the operator's chart makes in each namespace that it watches."""
    name = _name(conf, job)
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "flink"},
        "subjects": [{"kind": "ServiceAccount", "name": name}],
    }


def manifests(conf: Conf, jobs: list[Job], image: str) -> list[Json]:
    """All of it, in the order in which it is to be applied."""
    return [make(conf, job) for job in jobs for make in (account, binding)] + [
        deployment(conf, job, image) for job in jobs
    ]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
