"""A small Flink cluster in the test's own process, as the jobs need it."""

from __future__ import annotations

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment

from tillstream import jars


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
