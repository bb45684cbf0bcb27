"""A savepoint's name for an operator is found from its uid."""

from __future__ import annotations

import pytest
from pyflink.common import Types
from pyflink.datastream import StreamExecutionEnvironment

from tillstream.cluster.state_report import operator_id


def test_the_hash_is_the_published_one():
    assert operator_id("hello") == "029bbd41b3a7d8cb191dae486a901e5b"
    assert operator_id("") == "0" * 32


@pytest.mark.parametrize("uid", ["loyalty-ledger", "archive-once", "x" * 16, "ü" * 20])
def test_flink_makes_the_same(uid):
    env = StreamExecutionEnvironment.get_execution_environment()
    stream = env.from_collection([1], Types.INT()).uid(uid)
    stream._j_data_stream.print().uid("printed")
    graph = env._j_stream_execution_environment.getStreamGraph(True).getJobGraph()
    ids = {
        pair.getGeneratedOperatorID().toHexString()
        for vertex in graph.getVerticesAsArray()
        for pair in vertex.getOperatorIDs().toArray()
    }
    assert operator_id(uid) in ids
