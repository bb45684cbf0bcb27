"""A savepoint finds its state by uid: every operator has one, and none ever changes.

After a wanted change run ``python tests/jobs/test_uids.py`` and say in CHANGELOG which state is lost.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
from pyflink.datastream import StreamExecutionEnvironment

from tillstream import jars
from tillstream.conf import load
from tillstream.connectors import sources

RECORDED = Path(__file__).with_name("uids.json")
JOBS = {
    "loyalty": "customer_id",
    "archive": "transaction_id",
    "fraud": "",
    "inventory": "",
    "promotions": "",
    "shortage": "",
    "sales": "",
}
# Nothing is connected to; files need no plugin of the cluster's.
CONF = {"kafka": {"bootstrap": "h:1"}, "s3": {"scheme": "file", "bucket": "/tmp/tillstream-uids"}}


def operators(job: str, kind: str) -> list[list[str | None]]:
    """[uid, name] of each operator as the job makes it, in order."""
    conf = load("local", CONF | {"source": {"kind": kind, "kafka": {"bootstrap": "h:1"}}})
    env = StreamExecutionEnvironment.get_execution_environment()
    env.add_jars(jars.ensure_jars(print).job.as_uri())
    module = importlib.import_module(f"tillstream.jobs.{job}")
    if hasattr(module, "read"):  # a job of several inputs makes them itself
        inputs = module.read(env, conf)
    else:
        inputs = sources.transactions(env, conf, key_field=JOBS[job], job=job)
    module.attach_sinks(module.build(inputs, conf), conf)
    graph = env._j_stream_execution_environment.getStreamGraph(False)
    seen = {}
    for node in graph.getStreamNodes().toArray():
        seen[node.getId()] = [node.getTransformationUID(), node.getOperatorName()]
    return [seen[i] for i in sorted(seen)]


@pytest.mark.parametrize("kind", ["kinesis", "kafka"])
@pytest.mark.parametrize("job", JOBS)
def test_every_operator_has_its_recorded_uid(job, kind):
    made = operators(job, kind)
    nameless = [name for uid, name in made if not uid]
    assert not nameless, f"no uid on {nameless}: their state would be lost at the next change"
    recorded = json.loads(RECORDED.read_text())[f"{job}/{kind}"]
    assert made == recorded, "a changed uid loses its state; see this file's first lines"


if __name__ == "__main__":
    lists = {f"{j}/{k}": operators(j, k) for j in JOBS for k in ("kinesis", "kafka")}
    RECORDED.write_text(json.dumps(lists, indent=1) + "\n")
    sys.stdout.write(RECORDED.read_text())
