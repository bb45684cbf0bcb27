"""A savepoint finds its state by uid: every operator has one, and none ever changes.

After a wanted change run ``python tests/jobs/test_uids.py`` and say in CHANGELOG which state is lost.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from pyflink.datastream import StreamExecutionEnvironment

from tillstream import catalog, jars
from tillstream.catalog.entry import Undeclared
from tillstream.conf import load
from tillstream.connectors import dead_letters, kinesis
from tillstream.connectors.context import JobContext, make
from tillstream.connectors.graph import operators

RECORDED = Path(__file__).with_name("uids.json")
# Nothing is connected to; files need no plugin of the cluster's.
CONF = {"kafka": {"bootstrap": "h:1"}, "s3": {"scheme": "file", "bucket": "/tmp/tillstream-uids"}}


def made(job: str, kind: str) -> JobContext:
    """The whole job, built and never started."""
    conf = load("local", CONF | {"source": {"kind": kind, "kafka": {"bootstrap": "h:1"}}})
    env = StreamExecutionEnvironment.get_execution_environment()
    env.add_jars(jars.ensure_jars(print).job.as_uri())
    return make(catalog.job(job), env, conf)


@pytest.mark.parametrize("kind", ["kinesis", "kafka"])
@pytest.mark.parametrize("job", catalog.names())
def test_every_operator_has_its_recorded_uid_and_the_entry_lists_what_is_used(job, kind):
    context = made(job, kind)
    recorded = json.loads(RECORDED.read_text())
    assert job in recorded, f"uids of {job} are not recorded: python tests/jobs/test_uids.py"
    wanted = dict(recorded[job])
    if kind == "kinesis" and catalog.job(job).raw:
        wanted[kinesis.uid("till-transactions")] = wanted.pop("till-transactions")
    assert operators(context) == wanted, (
        "a changed uid loses its state; see this file's first lines"
    )
    assert not context.unused(), f"jobs/{job}.py lists what it does not use"


def test_a_job_that_does_not_write_what_its_hot_tables_refuse_is_not_built(monkeypatch):
    monkeypatch.setattr(dead_letters, "sink", lambda *_, **__: None)
    with pytest.raises(Undeclared, match=r"jobs/loyalty\.py: dead_letters\.sink is missing"):
        made("loyalty", "kafka")


def test_nothing_is_recorded_of_a_job_that_is_gone():
    assert set(json.loads(RECORDED.read_text())) <= set(catalog.names())


if __name__ == "__main__":
    lists = {job: operators(made(job, "kafka")) for job in catalog.names()}
    RECORDED.write_text(json.dumps(lists, indent=1) + "\n")
    sys.stdout.write(RECORDED.read_text())
