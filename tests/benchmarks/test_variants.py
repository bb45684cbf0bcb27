"""Benchmarks run the product's own operators: only what calls Python, and the ends, are exchanged."""

from __future__ import annotations

import pytest
from pyflink.datastream import StreamExecutionEnvironment

from benchmarks.jobs import loyalty_sql, variant
from benchmarks.rig import STAGE
from tillstream import jars
from tillstream.conf import load
from tillstream.connectors import batched

CONF = {
    "kafka": {"bootstrap": "h:1"},
    "s3": {"scheme": "file", "bucket": "/tmp/tillstream-uids"},
    "source": {"kind": "kafka", "kafka": {"bootstrap": "h:1"}},
    "job": {"require_thread_mode": False},
}


def graph(job: str, mode: str, sinks: str, clocks: str | None, monkeypatch) -> list[str]:
    """Operators' names, in order."""
    monkeypatch.setattr(batched, "process", batched.process)  # put back afterwards
    conf = load("local", CONF)
    env = variant.environment(conf, mode)
    env.add_jars(jars.ensure_jars(print).job.as_uri())
    monkeypatch.setattr(variant, "load", lambda: conf)
    monkeypatch.setattr(variant, "environment", lambda conf, mode: env)
    monkeypatch.setattr(StreamExecutionEnvironment, "execute", lambda env, name: None)
    monkeypatch.setenv(
        "TILLSTREAM_BENCH",
        variant.json.dumps(
            {"job": job, "mode": mode, "sinks": sinks, "clocks": clocks, "sample": True}
        ),
    )
    variant.main()
    nodes = env._j_stream_execution_environment.getStreamGraph(False).getStreamNodes().toArray()
    return [node.getOperatorName() for node in sorted(nodes, key=lambda node: node.getId())]


@pytest.mark.parametrize("mode", ["batched", "thread", "process"])
@pytest.mark.parametrize("job", STAGE)
def test_a_variant_has_the_stage_that_is_watched_and_no_sink_of_the_product(
    job, mode, tmp_path, monkeypatch
):
    made = graph(job, mode, "none", str(tmp_path) if mode == "batched" else None, monkeypatch)
    assert [name for name in made if name.startswith(STAGE[job])]
    assert not [name for name in made if "Kafka" in name or "DynamoDB" in name]
    assert [name for name in made if "dropped" in name]


@pytest.mark.parametrize("job", variant.EVENTS)
def test_a_variant_may_tell_its_events_and_nothing_else(job, monkeypatch):
    made = graph(job, "batched", "events", None, monkeypatch)
    told = {name.partition(":")[0] for name in made if "to Kafka" in name}
    assert len(told) == 1, made


def test_the_sum_in_sql_reads_the_topic_and_sums_in_one_vertex():
    tables = loyalty_sql.tables(load("local", CONF))
    tables.get_config().set("pipeline.jars", jars.ensure_jars(print).job.as_uri())
    plan = tables.explain_sql(loyalty_sql.SUM)
    assert f"{loyalty_sql.STAGE}(groupBy=[customer_id]" in plan
    assert "LocalGroupAggregate" not in plan
