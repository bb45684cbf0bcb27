"""A small Flink cluster in the test's own process, as the jobs need it."""

from __future__ import annotations

from pyflink.common import Configuration
from pyflink.common.job_client import JobClient
from pyflink.datastream import StreamExecutionEnvironment

from tillstream import jars
from tillstream.connectors.gateway import java


def engine(**settings: str) -> StreamExecutionEnvironment:
    """One subtask, Python in the engine's own threads, our jar; ``settings`` of Flink besides."""
    conf = Configuration()
    conf.set_string("python.execution-mode", "thread")
    conf.set_string("parallelism.default", "1")
    for name, value in settings.items():
        conf.set_string(name, value)
    env = StreamExecutionEnvironment.get_execution_environment(conf)
    env.add_jars(jars.ensure_jars(print).job.as_uri())
    return env


def stopped(job: JobClient, folder: str, drain: bool = False) -> str:
    """Where the savepoint is that it is stopped with. Flink 2 does not understand PyFlink's own call."""
    formats = java().org.apache.flink.core.execution.SavepointFormatType
    client = job._j_job_client
    return str(client.stopWithSavepoint(drain, folder, formats.CANONICAL).get())


def saved(job: JobClient, folder: str) -> str:
    """The same of one that runs on."""
    formats = java().org.apache.flink.core.execution.SavepointFormatType
    return str(job._j_job_client.triggerSavepoint(folder, formats.CANONICAL).get())
