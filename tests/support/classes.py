"""The job jar's classes, called through PyFlink's gateway without a cluster."""

from __future__ import annotations

from typing import Any

from pyflink.datastream import StreamExecutionEnvironment

from tillstream import jars
from tillstream.connectors import gateway


def job_classes() -> Any:
    """Package io.tillstream.flink of the built jar."""
    env = StreamExecutionEnvironment.get_execution_environment()
    env.add_jars(jars.ensure_jars(print).job.as_uri())
    return gateway.ours()
