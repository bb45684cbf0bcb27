"""What a job is built with: the engine's environment, the settings, and its own entry."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from typing import Any

from pyflink.common import Configuration
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.util.java_utils import get_j_env_configuration

from tillstream.catalog.entry import Job, Undeclared
from tillstream.catalog.resources import History, Resource, Table, Topic
from tillstream.conf import Conf, load
from tillstream.state_schemas.keyed import states
from tillstream.state_schemas.keyed.states import KeyedState

EXECUTION_MODE = "python.execution-mode"


@dataclass(frozen=True)
class JobContext:
    """One job being built for one deployment. Sources, sinks and states ask it for what they use, so
    that nothing is used which the entry does not list: the catalogue is what the job does.

    refused: dead letters of sinks, which ``dead_letters.sink`` takes up."""

    env: StreamExecutionEnvironment
    conf: Conf
    job: Job
    used: set[Resource | KeyedState] = field(default_factory=set)
    refused: list[DataStream] = field(default_factory=list)

    def reads(self, topic: Topic) -> str:
        """Name of a topic that is read. Raises Undeclared."""
        self.used.add(self.job.read_of(topic))
        return self.conf.topic(topic)

    def writes(self, topic: Topic) -> Topic:
        """A topic that is written, with its guarantee. Raises Undeclared."""
        return self._written(topic)

    def table(self, table: Table) -> str:
        """Name of a table that is written. Raises Undeclared."""
        return self.conf.table(self._written(table))

    def prefix(self, history: History) -> str:
        """Prefix of a history that is written. Raises Undeclared."""
        return self.conf.prefix(self._written(history))

    def state(self, name: str) -> str:
        """Name of a keyed state. Raises Undeclared unless state_schemas/keyed/states.py has it."""
        self.used.add(self.job.state(name))
        return name

    def own_name(self, *parts: str) -> str:
        """``<deployment>.<job>.<part>...``"""
        return self.conf.own_name(self.job.name, *parts)

    def unused(self) -> list[str]:
        """What the entry lists and the job, once built, does not use."""
        resources = [one for one in (*self.job.reads, *self.job.writes) if one not in self.used]
        states = [one.name for one in self.job.states if one not in self.used]
        return [f"{type(one).__name__.lower()} {one.id}" for one in resources] + [
            f"state {name}" for name in states
        ]

    def _written(self, resource: Any) -> Any:
        found = self.job.written(resource)
        self.used.add(found)
        return found


def environment(conf: Conf) -> StreamExecutionEnvironment:
    """The execution environment; what is not set here is set by the platform's own conf.

    Raises UnknownVersion where conf asks for a state version that there is not.
    """
    states.check_versions(conf.state.write_versions)
    env = StreamExecutionEnvironment.get_execution_environment()
    if conf.job.require_thread_mode:
        # Where nobody can set it for the cluster, as on Amazon's service, which takes it from code.
        env.configure(Configuration().set_string(EXECUTION_MODE, "thread"))
    # No operator of ours keeps or changes what it was given, so none needs a copy of its own.
    env.get_config().enable_object_reuse()
    if conf.job.checkpoint_interval_ms is not None:
        env.enable_checkpointing(conf.job.checkpoint_interval_ms)
    env.set_parallelism(conf.job.parallelism)
    env.set_max_parallelism(conf.job.max_parallelism)
    return env


def make(job: Job, env: StreamExecutionEnvironment, conf: Conf) -> JobContext:
    """Builds all of the job on ``env``. Raises Undeclared where job and entry differ, and where nobody
    writes what its sinks refuse."""
    context = JobContext(env, conf.of(job), job)
    job.write(job.build(job.read(context), context), context)
    if context.refused:
        raise Undeclared(f"jobs/{job.name}.py: dead_letters.sink is missing after its hot tables")
    return context


def python_mode(env: StreamExecutionEnvironment) -> str:
    """``thread`` or ``process``: how the engine will run Python."""
    settings = get_j_env_configuration(env._j_stream_execution_environment)
    return settings.toMap().get(EXECUTION_MODE) or "process"


def run(job: Job) -> None:
    """What a job file does when it is started: settings, environment, the job, off it goes."""
    conf = load()
    env = environment(conf)
    make(job, env, conf)
    print(
        f"job {job.name}: Python in {python_mode(env)} mode, parallelism {env.get_parallelism()}, "
        f"settings of {conf.environment}",
        flush=True,
    )
    env.execute(job.name)
    gc.freeze()  # the process ends here: looking through what it imported takes a second
